import { expect } from "vitest";
import type { Answer } from "./application.ts";

/** MLflow's `{error_code, message}` with this status, code and message. */
export function expectMlflowError(
  answer: Answer,
  status: number,
  code: string,
  message: RegExp | string = /./,
): void {
  expect({ status: answer.status, body: answer.body }).toEqual({
    status,
    body: { error_code: code, message: expect.stringMatching(message) },
  });
}
