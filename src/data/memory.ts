/** Allocates this many bytes: an ArrayBuffer, or one that threads share. */
export type Allocate = (bytes: number) => ArrayBufferLike
