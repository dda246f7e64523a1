/** What serving asks of the registry. */
export interface ModelSource {
  /** @throws notFound */
  getVersion(name: string, version: number): Promise<ServableVersion>;
  getByAlias(name: string, alias: string): Promise<ServableVersion | null>;
  getNewestReady(name: string): Promise<ServableVersion | null>;
  /** Grows with every change of the registry; a reader that sees the same number again may keep what it read. */
  revision(): Promise<number>;
  listModels(page?: { readonly limit?: number; readonly cursor?: string }): Promise<{
    readonly items: readonly { readonly name: string; readonly newestVersion: number }[];
    readonly nextCursor?: string;
  }>;
  /** Newest first. @throws notFound */
  listVersions(name: string): Promise<readonly ServableVersion[]>;
  /** Where a version's files lie: a blob key prefix without a trailing slash. @throws notFound, invalid */
  artifactPrefix(name: string, version: number): Promise<string>;
  /** What these files were when the version was registered; null where nobody took that down. @throws notFound */
  manifest(name: string, version: number): Promise<readonly RegisteredFile[] | null>;
}

export interface RegisteredFile {
  /** Below the prefix; the file's own name where the version is a single file. */
  readonly path: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A registered version. */
export interface ServableVersion {
  readonly name: string;
  readonly version: number;
  /** Says whether the same number still means the same files: a model may have been deleted and made anew. */
  readonly storageLocation: string;
}
