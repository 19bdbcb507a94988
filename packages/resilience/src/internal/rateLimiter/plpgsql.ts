/**
 * The algorithms in PL/pgSQL, by the same integers as `meter.ts`, `fixedWindow.ts`, `slidingWindow.ts` and `decide.ts`. Numbers are
 * `numeric`, which has room for every product. Infinite is null.
 *
 * A decision takes the locks of its keys in one order, so that decisions over several keys cannot lock each other out, and reads
 * what is kept and the clock after that.
 *
 * Whoever has the locks keeps them until the commit, so a commit that waits for the disk would hold up all others: these do not. A server
 * that crashes may forget what was counted in its last moments.
 */
export const schema = (name: string): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${name}_states (
  id bytea PRIMARY KEY,
  state numeric[] NOT NULL,
  expires numeric NOT NULL
) WITH (fillfactor = 70)`,
  `CREATE INDEX IF NOT EXISTS ${name}_states_expires ON ${name}_states (expires)`,
  `CREATE TABLE IF NOT EXISTS ${name}_holds (
  id bytea NOT NULL,
  hold text NOT NULL,
  amount numeric NOT NULL,
  expires numeric NOT NULL,
  PRIMARY KEY (id, hold)
)`,
  `CREATE INDEX IF NOT EXISTS ${name}_holds_expires ON ${name}_holds (expires)`,
  `CREATE TABLE IF NOT EXISTS ${name}_blocks (id bytea PRIMARY KEY, until numeric NOT NULL)`,
  `CREATE OR REPLACE FUNCTION ${name}_clock(given jsonb) RETURNS numeric LANGUAGE sql VOLATILE AS $$
  SELECT coalesce((given ->> 'now')::numeric, floor(extract(epoch FROM clock_timestamp()) * 1000))
$$`,
  `CREATE OR REPLACE FUNCTION ${name}_advance(s jsonb, state numeric[], now numeric) RETURNS numeric[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  span numeric := (s ->> 'window')::numeric;
  start numeric := CASE WHEN (s ->> 'aligned')::boolean THEN now - mod(now, span) ELSE now END;
  total numeric;
  passed numeric;
  back numeric;
  result numeric[];
  at int;
BEGIN
  CASE s ->> 'kind'
  WHEN 'meter' THEN
    IF state IS NULL THEN RETURN ARRAY[0, 0, now]; END IF;
    IF now <= state[3] THEN
      IF state[3] - now > span THEN RETURN ARRAY[state[1], state[2], now]; END IF;
      RETURN state;
    END IF;
    total := state[1] * (s ->> 'per')::numeric + state[2] - (now - state[3]) * (s ->> 'rate')::numeric;
    IF total <= 0 THEN RETURN ARRAY[0, 0, now]; END IF;
    RETURN ARRAY[div(total, (s ->> 'per')::numeric), mod(total, (s ->> 'per')::numeric), now];
  WHEN 'fixed' THEN
    IF state IS NULL THEN RETURN ARRAY[start, 0]; END IF;
    IF now < state[1] THEN
      IF state[1] - now > span THEN RETURN ARRAY[start, state[2]]; END IF;
      RETURN state;
    END IF;
    IF now - state[1] < span THEN RETURN state; END IF;
    passed := div(now - state[1], span);
    total := CASE WHEN (s ->> 'overflow')::numeric = 0 THEN 0
      ELSE greatest(0, state[2] - passed * (s ->> 'limit')::numeric) END;
    IF total = 0 THEN RETURN ARRAY[start, 0]; END IF;
    RETURN ARRAY[state[1] + passed * span, total];
  WHEN 'sliding' THEN
    IF state IS NULL OR cardinality(state) = 0 THEN RETURN ARRAY[]::numeric[]; END IF;
    back := state[cardinality(state) - 1] - now;
    IF back > span THEN
      result := state;
      FOR at IN 1 .. cardinality(state) LOOP
        IF at = 1 OR at % 2 = 0 THEN result[at] := state[at] - back; END IF;
      END LOOP;
      RETURN result;
    END IF;
    at := 2;
    WHILE at < cardinality(state) AND now - state[at] >= span LOOP at := at + 2; END LOOP;
    IF at = 2 THEN RETURN state; END IF;
    IF at > cardinality(state) THEN RETURN ARRAY[]::numeric[]; END IF;
    RETURN state[1] || state[at:];
  ELSE
    RETURN ARRAY[]::numeric[];
  END CASE;
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_used(s jsonb, state numeric[]) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  total numeric := 0;
  at int := 3;
BEGIN
  CASE s ->> 'kind'
  WHEN 'meter' THEN RETURN state[1] + CASE WHEN state[2] > 0 THEN 1 ELSE 0 END;
  WHEN 'fixed' THEN RETURN state[2];
  WHEN 'sliding' THEN
    WHILE at <= cardinality(state) LOOP
      total := total + state[at];
      at := at + 2;
    END LOOP;
    RETURN total;
  ELSE RETURN 0;
  END CASE;
END $$`,
  // Until a meter's debt plus \`excess\` is at most 0, or until the window that comes \`excess\` units later begins.
  `CREATE OR REPLACE FUNCTION ${name}_until(s jsonb, state numeric[], excess numeric, now numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  total numeric;
BEGIN
  IF s ->> 'kind' = 'meter' THEN
    total := (state[1] + excess) * (s ->> 'per')::numeric + state[2];
    IF total <= 0 THEN RETURN 0; END IF;
    RETURN div(total + (s ->> 'rate')::numeric - 1, (s ->> 'rate')::numeric) + greatest(0, state[3] - now);
  END IF;
  IF excess <= 0 THEN RETURN 0; END IF;
  RETURN CASE WHEN (s ->> 'overflow')::numeric = 0 THEN 1
    ELSE div(excess + (s ->> 'limit')::numeric - 1, (s ->> 'limit')::numeric) END
    * (s ->> 'window')::numeric - (now - state[1]);
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_wait(s jsonb, state numeric[], cost numeric, held numeric, now numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  amount numeric := held + (s ->> 'weight')::numeric * cost;
  room numeric := (s ->> 'capacity')::numeric + (s ->> 'overflow')::numeric;
  excess numeric;
  at int := 2;
BEGIN
  IF cost > (s ->> 'most')::numeric OR amount > room THEN RETURN NULL; END IF;
  CASE s ->> 'kind'
  WHEN 'meter' THEN RETURN ${name}_until(s, state, amount - room, now);
  WHEN 'fixed' THEN RETURN ${name}_until(s, state, state[2] + amount - room, now);
  WHEN 'sliding' THEN
    excess := ${name}_used(s, state) + amount - room;
    WHILE excess > 0 AND at < cardinality(state) LOOP
      excess := excess - state[at + 1];
      IF excess <= 0 THEN RETURN (s ->> 'window')::numeric - (now - state[at]); END IF;
      at := at + 2;
    END LOOP;
    RETURN 0;
  ELSE RETURN 0;
  END CASE;
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_charge(s jsonb, state numeric[], amount numeric, now numeric) RETURNS numeric[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  size int := cardinality(state);
  last numeric;
  at numeric;
BEGIN
  IF amount = 0 THEN RETURN state; END IF;
  CASE s ->> 'kind'
  WHEN 'meter' THEN RETURN ARRAY[state[1] + amount, state[2], state[3]];
  WHEN 'fixed' THEN RETURN ARRAY[state[1], state[2] + amount];
  WHEN 'sliding' THEN
    IF size = 0 THEN RETURN ARRAY[now, now, amount]; END IF;
    last := state[size - 1];
    at := greatest(now, last);
    IF at = last OR ((size - 1) / 2 >= (s ->> 'slices')::int
      AND at - state[1] < ceil((s ->> 'window')::numeric / (s ->> 'slices')::numeric)) THEN
      state[size - 1] := at;
      state[size] := state[size] + amount;
      RETURN state;
    END IF;
    state[1] := at;
    RETURN state || ARRAY[at, amount];
  ELSE RETURN state;
  END CASE;
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_reset(s jsonb, state numeric[], now numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  CASE s ->> 'kind'
  WHEN 'meter' THEN RETURN ${name}_until(s, state, 0, now);
  WHEN 'fixed' THEN RETURN ${name}_until(s, state, state[2], now);
  WHEN 'sliding' THEN
    RETURN CASE WHEN cardinality(state) = 0 THEN 0
      ELSE (s ->> 'window')::numeric - (now - state[cardinality(state) - 1]) END;
  ELSE RETURN 0;
  END CASE;
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_write(digest bytea, s jsonb, kept numeric[], now numeric) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO ${name}_states (id, state, expires) VALUES (digest, kept, now + ${name}_reset(s, kept, now))
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires = excluded.expires
$$`,
  `CREATE OR REPLACE FUNCTION ${name}_lock(request jsonb) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  number bigint;
BEGIN
  FOR number IN SELECT DISTINCT hashtextextended(entry ->> 'id', 0) FROM jsonb_array_elements(request -> 'entries') entry ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(number);
  END LOOP;
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_decide(request jsonb) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  count int := jsonb_array_length(request -> 'entries');
  peek boolean := (request ->> 'peek')::boolean;
  now numeric;
  allowed boolean := true;
  stale boolean;
  take boolean;
  blocked jsonb := '[]';
  outcomes jsonb := '[]';
  subject text;
  entry jsonb;
  s jsonb;
  digest bytea;
  digests bytea[] := '{}';
  kept numeric[];
  cost numeric;
  total numeric;
  remaining_held numeric;
  best numeric;
  waits numeric[] := '{}';
  totals numeric[] := '{}';
  states jsonb := '[]';
  running record;
  delay numeric;
  millis numeric;
BEGIN
  IF NOT peek THEN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM ${name}_lock(request);
  END IF;
  now := ${name}_clock(request);
  FOR subject IN SELECT jsonb_array_elements_text(request -> 'subjects') LOOP
    SELECT greatest(0, until - now) INTO millis FROM ${name}_blocks WHERE id = sha256(convert_to(subject, 'UTF8'));
    millis := coalesce(millis, 0);
    IF millis > 0 THEN allowed := false; END IF;
    blocked := blocked || to_jsonb(millis);
  END LOOP;
  take := allowed AND NOT peek;
  FOR i IN 1 .. count LOOP
    entry := request -> 'entries' -> (i - 1);
    s := entry -> 'shape';
    cost := (entry ->> 'cost')::numeric;
    digest := sha256(convert_to(entry ->> 'id', 'UTF8'));
    digests[i] := digest;
    kept := NULL;
    SELECT t.state INTO kept FROM ${name}_states t WHERE t.id = digest AND t.expires > now;
    kept := ${name}_advance(s, kept, now);
    SELECT coalesce(sum(h.amount) FILTER (WHERE h.expires > now), 0), count(*) FILTER (WHERE h.expires <= now) > 0
    INTO total, stale FROM ${name}_holds h WHERE h.id = digest;
    IF stale THEN DELETE FROM ${name}_holds WHERE id = digest AND expires <= now; END IF;
    best := ${name}_wait(s, kept, cost, total, now);
    IF best IS DISTINCT FROM 0 AND total > 0 AND cost <= (s ->> 'most')::numeric THEN
      remaining_held := total;
      FOR running IN SELECT h.amount, h.expires FROM ${name}_holds h WHERE h.id = digest AND h.expires > now ORDER BY h.expires LOOP
        EXIT WHEN running.expires - now >= best;
        remaining_held := remaining_held - running.amount;
        millis := ${name}_wait(s, kept, cost, remaining_held, now);
        IF millis IS NOT NULL THEN best := least(coalesce(best, greatest(running.expires - now, millis)), greatest(running.expires - now, millis)); END IF;
      END LOOP;
    END IF;
    IF best IS DISTINCT FROM 0 AND NOT (entry ->> 'shadow')::boolean THEN allowed := false; END IF;
    waits[i] := best;
    totals[i] := total;
    states := states || jsonb_build_array(to_jsonb(kept));
  END LOOP;
  FOR i IN 1 .. count LOOP
    entry := request -> 'entries' -> (i - 1);
    s := entry -> 'shape';
    cost := (entry ->> 'cost')::numeric;
    kept := ARRAY(SELECT jsonb_array_elements_text(states -> (i - 1))::numeric);
    total := totals[i];
    delay := 0;
    IF waits[i] = 0 AND (allowed OR peek) AND (s ->> 'overflow')::numeric > 0 THEN
      delay := ${name}_until(
        s, kept,
        CASE WHEN s ->> 'kind' = 'fixed' THEN kept[2] ELSE 0 END
          + totals[i] + (s ->> 'weight')::numeric * cost - (s ->> 'capacity')::numeric,
        now
      );
    END IF;
    IF allowed AND take AND waits[i] = 0 AND cost > 0 THEN
      IF entry ->> 'lease' IS NOT NULL THEN
        INSERT INTO ${name}_holds (id, hold, amount, expires)
        VALUES (digests[i], request ->> 'hold', cost, now + (entry ->> 'lease')::numeric);
        total := total + cost;
      ELSE
        kept := ${name}_charge(s, kept, cost, now);
        PERFORM ${name}_write(digests[i], s, kept, now);
      END IF;
    END IF;
    outcomes := outcomes || jsonb_build_array(jsonb_build_array(
      waits[i],
      delay,
      greatest(CASE WHEN (s ->> 'weight')::numeric = 0 THEN NULL ELSE 0 END, (s ->> 'capacity')::numeric + CASE WHEN s ->> 'kind' = 'meter' THEN (s ->> 'overflow')::numeric ELSE 0 END
        - ${name}_used(s, kept) - total),
      ${name}_reset(s, kept, now),
      totals[i]
    ));
  END LOOP;
  -- Now and then, some of what is over goes.
  IF take AND random() < 0.01 THEN
    DELETE FROM ${name}_states WHERE id IN (SELECT id FROM ${name}_states WHERE expires <= now LIMIT 500 FOR UPDATE SKIP LOCKED);
    DELETE FROM ${name}_holds WHERE (id, hold) IN (
      SELECT id, hold FROM ${name}_holds WHERE expires <= now LIMIT 500 FOR UPDATE SKIP LOCKED
    );
    DELETE FROM ${name}_blocks WHERE id IN (SELECT id FROM ${name}_blocks WHERE until <= now LIMIT 500 FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN jsonb_build_object('allowed', allowed, 'outcomes', outcomes, 'blocked', blocked);
END $$`,
  `CREATE OR REPLACE FUNCTION ${name}_settle(request jsonb) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now numeric;
  entry jsonb;
  digest bytea;
  kept numeric[];
  alive boolean;
  all_held boolean := true;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM ${name}_lock(request);
  now := ${name}_clock(request);
  FOR entry IN SELECT jsonb_array_elements(request -> 'entries') LOOP
    digest := sha256(convert_to(entry ->> 'id', 'UTF8'));
    DELETE FROM ${name}_holds WHERE id = digest AND expires <= now;
    IF request ->> 'renew' IS NOT NULL THEN
      UPDATE ${name}_holds SET expires = greatest(expires, now + (request ->> 'renew')::numeric)
      WHERE id = digest AND hold = request ->> 'hold';
      IF NOT found THEN all_held := false; END IF;
      CONTINUE;
    END IF;
    DELETE FROM ${name}_holds WHERE id = digest AND hold = request ->> 'hold';
    alive := found;
    IF NOT alive THEN all_held := false; END IF;
    IF (entry ->> 'charge')::numeric > 0 AND (alive OR (request ->> 'force')::boolean) THEN
      kept := NULL;
      SELECT t.state INTO kept FROM ${name}_states t WHERE t.id = digest AND t.expires > now;
      kept := ${name}_advance(entry -> 'shape', kept, now);
      IF entry -> 'shape' ->> 'kind' <> 'leases' THEN
        PERFORM ${name}_write(
          digest, entry -> 'shape', ${name}_charge(entry -> 'shape', kept, (entry ->> 'charge')::numeric, now), now
        );
      END IF;
    END IF;
  END LOOP;
  RETURN all_held;
END $$`
]
