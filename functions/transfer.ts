import { mount } from "./http.ts";

mount({ "transfer-transfers": "api/v1/transfers/{*rest}" });
