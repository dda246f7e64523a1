import { mount } from "./http.ts";

mount({ datasets: "api/v1/datasets/{*rest}" });
