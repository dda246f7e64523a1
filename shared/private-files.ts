import { chmodSync, statSync } from "node:fs";

const others = 0o077;
const sticky = 0o1000;

/**
 * Takes from other users of this machine what an older version or a careless copy gave them: a folder becomes 0700 and a
 * file 0600. What is somebody else's, a folder for everybody such as `/tmp`, and what is not there stay as they are.
 */
export function keepPrivate(path: string): void {
  try {
    const { mode, uid } = statSync(path);
    const isShared = (mode & sticky) !== 0 || uid !== process.geteuid?.();
    if (!isShared && (mode & others) !== 0) chmodSync(path, mode & 0o777 & ~others);
  } catch {
    // Not there, or on a file system that has no rights to give: a start must not fail for it.
  }
}
