import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A way to a PostgreSQL server that a test can cut. */
export interface PostgresProxy {
  readonly url: string;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Lets connections through again, at the same address. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

export async function proxyTo(target: string): Promise<PostgresProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let server: Server = await listen(0);
  const address = server.address() as AddressInfo;
  const url = new URL(target);
  url.host = `127.0.0.1:${address.port}`;

  async function listen(at: number): Promise<Server> {
    const made = createServer((incoming) => {
      const outgoing = connect(Number(port || 5432), hostname);
      for (const [socket, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        sockets.add(socket);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
    made.listen(at, "127.0.0.1");
    await once(made, "listening");
    return made;
  }

  async function cut(): Promise<void> {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  return {
    url: url.href,
    cut,
    async mend() {
      server = await listen(address.port);
    },
    close: async () => (server.listening ? cut() : undefined),
  };
}
