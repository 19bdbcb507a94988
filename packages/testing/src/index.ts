export * as SqlClientSuite from "./SqlClientSuite.ts"
