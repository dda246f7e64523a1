import { mount } from "./host/http.ts";

mount({ datasets: "api/v1/datasets/{*rest}" });
