/** Names of persons in free text: an entry of its own, since its data is large. */
export * as Names from "./Names.ts"
