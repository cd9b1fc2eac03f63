import { suite } from "./EventSinkTest.ts"
import { memory } from "./support.ts"

suite("Memory", memory)
