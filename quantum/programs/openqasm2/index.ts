export { elaborate, isOpenQasm2 } from "./elaborate.ts";
