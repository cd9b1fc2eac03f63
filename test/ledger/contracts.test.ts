/** The contracts of the ledger's ports and rules, in every medium. */
import { Effect, Layer } from "effect"
import { Memory } from "effect-audit/memory"
import { Sqlite, SqliteSignerState } from "effect-audit/sqlite"
import { join } from "node:path"
import { everythingOver, memory, sqlite, temporaryFolder } from "../support.ts"
import * as LedgerTest from "./LedgerTest.ts"
import * as LogStoreTest from "./LogStoreTest.ts"
import * as SignerStateTest from "./SignerStateTest.ts"
import * as TamperTest from "./TamperTest.ts"

const fresh = Layer.fresh(memory)
const inMemory = everythingOver(() => Memory.layer())
const inFile = everythingOver((signer) =>
  Layer.unwrap(Effect.map(temporaryFolder, (folder) => Sqlite.layer({ filename: join(folder, "audit.db"), signer })))
)

LogStoreTest.suite("memory", fresh)
LogStoreTest.suite("SQLite", sqlite)
SignerStateTest.suite("memory", Layer.fresh(Memory.layer()))
SignerStateTest.suite(
  "SQLite",
  Layer.unwrap(
    Effect.map(temporaryFolder, (folder) => SqliteSignerState.layer({ state: join(folder, "state"), newSigner: true }))
  )
)
LedgerTest.suite("memory", inMemory)
LedgerTest.suite("SQLite", inFile)
TamperTest.suite("memory", inMemory)
TamperTest.suite("SQLite", inFile)
