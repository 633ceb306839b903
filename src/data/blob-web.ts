/**
 * Bytes as a Blob. The one cast of this kind: Blob refuses memory that threads share, in which no such bytes lie.
 * @param type their media type
 */
export const blobOf = (bytes: Uint8Array, type = ''): Blob => new Blob([bytes as BlobPart], { type })
