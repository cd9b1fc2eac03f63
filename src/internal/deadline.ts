/**
 * Services that end every call by a deadline of their own, or without waiting at all, so that the engine need not watch
 * them: watching costs a fiber per event.
 */
export const keepsDeadline = new WeakSet<object>()
