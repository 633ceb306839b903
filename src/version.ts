/** Version of the package; a test holds it against package.json, which pages cannot read. */
export const VERSION = '0.1.0'
