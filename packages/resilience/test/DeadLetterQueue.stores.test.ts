import * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"

DeadLetterStoreSuite.deadLetterStoreSuite("letters in memory", DeadLetterQueue.layerStoreMemory)
