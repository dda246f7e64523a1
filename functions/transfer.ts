import { mount } from "./host/http.ts";

mount({ "transfer-transfers": "api/v1/transfers/{*rest}" });
