/** Services that end every call by a deadline of their own: where it is no later than the engine's, it is enough. */

const deadlines = new WeakMap<object, number>()

/** Says that a service ends every call by a deadline of its own; 0, if without waiting at all. */
export const keepsDeadline = (service: object, millis: number): void => {
  deadlines.set(service, millis)
}

/** Whether every call of a service ends in time by itself: watching it costs a fiber per call. */
export const endsWithin = (service: object, millis: number): boolean => (deadlines.get(service) ?? Infinity) <= millis
