/** All items of a paged list, fetched page by page as they are read. */
export async function* everyItem<Item>(
  read: (pageToken: string | undefined) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  let token: string | undefined;
  do {
    const page = await read(token);
    yield* page.items;
    // A server that gives the same token again would be read for ever.
    token = page.nextPageToken === token ? undefined : page.nextPageToken;
  } while (token !== undefined);
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Absent on the last page. */
  readonly nextPageToken?: string;
}

export function pageOf<Item>(items: readonly Item[], token: string | undefined): Page<Item> {
  return token === undefined ? { items } : { items, nextPageToken: token };
}

/** What every call takes beside its own fields. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface PageOptions extends CallOptions {
  readonly page_token?: string | undefined;
}
