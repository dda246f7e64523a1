import { mount } from "./http.ts";

mount({ environments: "api/v1/environments/{*rest}" });
