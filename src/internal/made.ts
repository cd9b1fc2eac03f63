/**
 * What only this package has: without it none of the shapes of an event can be made.
 */

/** Opens the constructors of the shapes; a value of this type cannot be written down outside of the package. */
export class Made {
  readonly #nominal = true

  /** Refuses whoever does not hold the one value, when it is run. */
  static check(value: Made): void {
    if (value !== made || !value.#nominal) throw new TypeError("the shapes of an event are made by effect-audit alone")
  }
}

/** The one value. */
export const made = new Made()
