import { invalid } from "../../../../shared/errors.ts";
import { checkLength, limits } from "../../../../shared/mlflow/index.ts";
import { refusalOf } from "../../../../shared/webhooks/index.ts";

/** What MLflow takes for a webhook (mlflow/utils/validation.py), and bounds where it has none. */

const longest = limits.webhook;

/** @throws invalid. */
export function checkWebhookName(name: string): void {
  if (/^(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i.test(name)) return;
  throw invalid(
    `Webhook name '${name.slice(0, 100)}' is invalid. It must have 1 to 63 letters, digits, dots (.), underscores (_) and hyphens (-), and start and end with a letter or digit.`,
    { field: "name" },
  );
}

/** @throws invalid for what is no URL, or one that may not be sent to as far as it can be told without looking it up. */
export function checkWebhookUrl(text: string, allowPrivate: boolean): void {
  const field = "url";
  if (text.trim() === "")
    throw invalid(`Webhook URL cannot be empty or just whitespace: '${text}'`, { field });
  checkLength(text, longest.url, field);
  const url = URL.parse(text);
  if (url === null) {
    throw invalid(`Invalid webhook URL '${text}'. It must be a whole URL such as https://example.org/hook.`, {
      field,
    });
  }
  const refused = refusalOf(url, allowPrivate);
  if (refused !== undefined) throw invalid(refused, { field });
  if (url.username !== "" || url.password !== "") {
    throw invalid(
      "Invalid webhook URL: a user name or password in it would be shown to everybody who may read webhooks. Let the receiver check the signature that a secret makes.",
      { field },
    );
  }
}

/** @throws invalid. */
export function checkWebhookTexts(texts: {
  readonly description?: string | undefined;
  readonly secret?: string | undefined;
}): void {
  if (texts.description !== undefined) checkLength(texts.description, longest.description, "description");
  if (texts.secret !== undefined) checkLength(texts.secret, longest.secret, "secret");
}
