/** A few values by key; the one that was not asked for longest goes when there are too many. */
export class LruCache<V> {
  readonly #values = new Map<string, V>()
  readonly #most: number
  readonly #drop: (value: V) => void | Promise<void>

  /** @param drop lets a value go */
  constructor(most: number, drop: (value: V) => void | Promise<void> = () => {}) {
    this.#most = most
    this.#drop = drop
  }

  get(key: string, make: () => V): V {
    const value = this.#values.get(key) ?? make()
    // The order of insertion is that of the last use.
    this.#values.delete(key)
    this.#values.set(key, value)
    if (this.#values.size > this.#most) {
      const [oldest] = this.#values.entries()
      if (oldest) {
        this.#values.delete(oldest[0])
        void this.#drop(oldest[1])
      }
    }
    return value
  }

  /** Lets all values go. */
  async clear(): Promise<void> {
    for (const value of this.#values.values()) await this.#drop(value)
    this.#values.clear()
  }
}
