/** With what a process of Ketline ends, for whatever starts it again (docs/guides/operating.md). */
export const exitCodes = {
  /** The configuration, a port, the database or a directory keeps it from starting: a sentence says which. */
  cannotStart: 1,
  /** The log of the embedded database did not reach the disk (sysexits.h: EX_IOERR). Start it again. */
  logLost: 74,
} as const;
