/**
 * Error numbers. The emulated file system speaks WASI, MicroPython's `errno` module of this build speaks Linux; sockets
 * of ours speak Linux too. (The ESP32 has newlib's and lwIP's numbers: firmware compares names, never numbers.)
 */

/** Linux numbers, as this build's `errno` module has them. */
export const errno = {
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOSPC: 28,
  EPIPE: 32,
  ECONNRESET: 104,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

/** WASI preview 1 `errno` → Linux, for those that a file system can answer. */
const linuxOfWasi: Readonly<Record<number, number>> = {
  2: 13, // EACCES
  6: 11, // EAGAIN
  8: 9, // EBADF
  10: 16, // EBUSY
  20: 17, // EEXIST
  22: 27, // EFBIG
  27: 4, // EINTR
  28: 22, // EINVAL
  29: 5, // EIO
  31: 21, // EISDIR
  33: 24, // EMFILE
  37: 36, // ENAMETOOLONG
  44: 2, // ENOENT
  48: 12, // ENOMEM
  51: 28, // ENOSPC
  54: 20, // ENOTDIR
  55: 39, // ENOTEMPTY
  63: 1, // EPERM
  69: 30, // EROFS
  70: 29, // ESPIPE
  73: 110, // ETIMEDOUT
  75: 18, // EXDEV
};

/** The Linux number of a WASI one; unknown ones pass. */
export const linuxErrno = (wasi: number): number => linuxOfWasi[wasi] ?? wasi;
