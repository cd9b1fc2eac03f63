/** The medium of tests. */
export * as Memory from "./Memory.ts"
