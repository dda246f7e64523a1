import { mount } from "./host/http.ts";

mount({ environments: "api/v1/environments/{*rest}" });
