/** `layerConfig` of every module: the same options, from `Config`. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** A value out of its range comes from outside here, so it is a `ConfigError` and no `RangeError`. */
export const layerFromConfig = <Options, ROut, E, RIn>(
  options: Config.Wrap<Options>,
  layer: (options: Options) => Layer.Layer<ROut, E, RIn>
): Layer.Layer<ROut, E | Config.ConfigError, RIn> =>
  Layer.unwrap(Effect.flatMap(Config.unwrap<Options>(options), (found) =>
    Effect.try({
      try: () => layer(found),
      catch: (error) =>
        new Config.ConfigError(
          new Schema.SchemaError(
            new SchemaIssue.InvalidValue({ message: error instanceof RangeError ? error.message : String(error) })
          )
        )
    })))
