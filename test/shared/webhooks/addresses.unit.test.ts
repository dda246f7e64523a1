import { describe, expect, it } from "vitest";
import { checkWebhookName, checkWebhookUrl } from "../../../models/registry/webhooks/delivery/checks.ts";
import { isPublicAddress } from "../../../shared/webhooks/addresses.ts";

describe("an address is public", () => {
  it.each([
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
  ])("%s", (address) => expect(isPublicAddress(address)).toBe(true));
});

describe("an address is not public", () => {
  it.each([
    ["this network", "0.0.0.0"],
    ["private", "10.1.2.3"],
    ["private", "172.16.0.1"],
    ["private", "172.31.255.255"],
    ["private", "192.168.0.1"],
    ["of a carrier", "100.64.0.1"],
    ["of a carrier", "100.127.255.255"],
    ["loopback", "127.0.0.1"],
    ["loopback", "127.255.255.255"],
    ["link-local, metadata", "169.254.169.254"],
    ["Azure's platform", "168.63.129.16"],
    ["documentation", "192.0.2.1"],
    ["benchmarks", "198.19.255.255"],
    ["multicast", "224.0.0.1"],
    ["reserved", "240.0.0.1"],
    ["broadcast", "255.255.255.255"],
    ["unspecified", "::"],
    ["loopback", "::1"],
    ["IPv4 in IPv6", "::ffff:127.0.0.1"],
    ["IPv4 in IPv6", "::ffff:8.8.8.8"],
    ["IPv4 in IPv6", "::ffff:a9fe:a9fe"],
    ["IPv4 in IPv6, the old way", "::127.0.0.1"],
    ["NAT64", "64:ff9b::7f00:1"],
    ["NAT64", "64:ff9b:1::1"],
    ["6to4", "2002:7f00:1::"],
    ["Teredo", "2001::1"],
    ["documentation", "2001:db8::1"],
    ["unique-local", "fd00::1"],
    ["Azure's and Amazon's metadata", "fd00:ec2::254"],
    ["link-local", "fe80::1"],
    ["link-local with a zone", "fe80::1%eth0"],
    ["multicast", "ff02::1"],
    ["no address", "example.org"],
    ["no address", ""],
  ])("%s: %s", (_, address) => expect(isPublicAddress(address)).toBe(false));
});

describe("a webhook's URL", () => {
  it.each([
    "https://example.com/webhook",
    "https://example.com:8443/a?b=c#d",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]/hook",
    "https://bücher.example/",
    "HTTPS://EXAMPLE.COM",
  ])("may be %s", (url) => expect(() => checkWebhookUrl(url, false)).not.toThrow());

  it.each([
    ["   ", /cannot be empty or just whitespace/],
    ["ftp://example.com", /Invalid webhook URL scheme: 'ftp'\. Allowed schemes are: https\./],
    ["http://example.com", /Invalid webhook URL scheme: 'http'/],
    ["file:///etc/passwd", /Invalid webhook URL scheme/],
    ["javascript:alert(1)", /Invalid webhook URL scheme/],
    ["http://[invalid", /Invalid webhook URL/],
    ["example.com/hook", /Invalid webhook URL/],
    ["https://", /Invalid webhook URL/],
    ["https://ada:secret@example.com/", /user name or password/],
    ["https://example.com/".padEnd(2001, "x"), /maximum length of 2000/],
  ])("may not be %s", (url, message) => expect(() => checkWebhookUrl(url, false)).toThrow(message));

  it.each([
    "https://127.0.0.1/",
    "https://0x7f000001/",
    "https://0X7F.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://１２７.０.０.１/",
    "https://%31%32%37.0.0.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[0:0:0:0:0:ffff:7f00:1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/latest/meta-data/",
    "https://169.254.169.254/metadata/identity/oauth2/token",
    "https://[fd00:ec2::254]/",
    "https://10.0.0.7:8443/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
  ])("may not be the odd spelling %s of a place inside", (url) =>
    expect(() => checkWebhookUrl(url, false)).toThrow(/is not a public address/),
  );

  it("may be http and inside where the operator allows it, and nothing else", () => {
    for (const url of ["http://127.0.0.1:8080/hook", "http://localhost/", "https://10.0.0.1/"]) {
      expect(() => checkWebhookUrl(url, true)).not.toThrow();
    }
    expect(() => checkWebhookUrl("ftp://10.0.0.1/", true)).toThrow(/Allowed schemes are: https, http\./);
  });
});

describe("a webhook's name", () => {
  it.each(["a", "test_webhook", "Test-Webhook.2", "0", "x".repeat(63)])("may be %s", (name) =>
    expect(() => checkWebhookName(name)).not.toThrow(),
  );

  it.each(["", "   ", "-a", "a-", ".a", "a_", "a b", "a/b", "ü", "a\n", "x".repeat(64)])(
    "may not be %j",
    (name) => expect(() => checkWebhookName(name)).toThrow(/Webhook name '.*' is invalid/s),
  );
});
