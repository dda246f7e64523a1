import { BlockList, isIPv4, isIPv6 } from "node:net";

/**
 * Which addresses a webhook may go to. A caller names the URL and this server sends the request, from inside a network
 * that the caller may not see; so only what the whole Internet can reach is allowed (IANA's registries of special-purpose
 * addresses, RFC 6890 and its successors).
 */

const specialIpv4: readonly (readonly [network: string, prefix: number])[] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // shared by carriers (RFC 6598); some clouds keep their metadata there
  ["127.0.0.0", 8], // loopback
  ["168.63.129.16", 32], // Azure's platform, behind a public address
  ["169.254.0.0", 16], // link-local, with the clouds' metadata
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, with broadcast
];

/**
 * Of IPv6 only global unicast, 2000::/3, is allowed at all: that leaves out loopback, link-local, unique-local and
 * multicast addresses, IPv4 mapped into IPv6 (::ffff:0:0/96) and NAT64 (64:ff9b::/96, 64:ff9b:1::/48). These lie in it:
 */
const specialIpv6: readonly (readonly [network: string, prefix: number])[] = [
  ["2001::", 23], // protocol assignments, with Teredo
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4, which holds any IPv4 address
  ["3fff::", 20], // documentation
];

const special = new BlockList();
for (const [network, prefix] of specialIpv4) special.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of specialIpv6) special.addSubnet(network, prefix, "ipv6");
const globalIpv6 = new BlockList();
globalIpv6.addSubnet("2000::", 3, "ipv6");

/** Whether it is an address of the public Internet. What is no address at all is not. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, "ipv4");
  const [plain = ""] = address.split("%"); // without the zone of a link-local address
  return isIPv6(plain) && globalIpv6.check(plain, "ipv6") && !special.check(plain, "ipv6");
}

/** The host of a URL as a name or an address: without the brackets of IPv6 and the dot at the end of a full name. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.+$/, "");
}

/**
 * Whether a host cannot be meant to be public, told without looking it up. `URL` has already written the odd spellings of
 * an IPv4 address (`0x7f000001`, `2130706433`, `127.1`, `0177.0.0.1`) as four numbers.
 */
export function isPrivateHost(host: string): boolean {
  if (isIPv4(host) || isIPv6(host)) return !isPublicAddress(host);
  return host === "localhost" || host.endsWith(".localhost");
}
