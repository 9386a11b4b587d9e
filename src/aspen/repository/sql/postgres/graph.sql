-- Statements about edges between memories, and how memories are used.

-- name: put_edges
INSERT INTO aspen.edge (tenant_id, source, target, type, weight, provenance, revision, target_type)
SELECT
    %(tenant)s,
    new.*,
    %(revision)s,
    (SELECT memory.type FROM aspen.memory WHERE tenant_id = %(tenant)s AND seq = target)
FROM unnest(
    %(source)s::bigint[], %(target)s::bigint[], %(type)s::text[], %(weight)s::double precision[],
    %(provenance)s::text[]
) AS new (source, target, type, weight, provenance)
ON CONFLICT (tenant_id, source, target, type)
DO UPDATE SET weight = excluded.weight, provenance = excluded.provenance, revision = excluded.revision

-- name: remove_edges
DELETE FROM aspen.edge
USING unnest(%(sources)s::bigint[], %(targets)s::bigint[], %(types)s::text[]) AS gone (source, target, type)
WHERE
    edge.tenant_id = %(tenant)s
    AND edge.source = gone.source
    AND edge.target = gone.target
    AND edge.type = gone.type
RETURNING edge.source, edge.type

-- Of edges of one type, the sources of those that are not there yet.
-- name: corrected_anew
SELECT DISTINCT source
FROM unnest(%(sources)s::bigint[], %(targets)s::bigint[]) AS new (source, target)
WHERE NOT EXISTS (
    SELECT 1
    FROM aspen.edge
    WHERE tenant_id = %(tenant)s AND edge.source = new.source AND edge.target = new.target AND type = %(type)s
)

-- name: corrected_by
SELECT DISTINCT source
FROM aspen.edge
WHERE tenant_id = %(tenant)s AND target = ANY(%(seqs)s::bigint[]) AND type = %(type)s

-- name: count_versions
UPDATE aspen.memory SET version = version + 1 WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: note_unrelated
UPDATE aspen.store SET unrelated = revision WHERE tenant_id = %(tenant)s

-- One short index scan for each source: a join would read all edges of a hub to keep some of them.
-- name: out_edges
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (
    SELECT heaviest.*
    FROM unnest(%(seqs)s::bigint[]) WITH ORDINALITY AS sought (seq, place)
    CROSS JOIN LATERAL (
        SELECT source, target, type, weight, provenance
        FROM aspen.edge
        WHERE
            tenant_id = %(tenant)s
            AND source = sought.seq
            AND weight >= %(min_weight)s
            AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[]))
        ORDER BY weight DESC, target, type
        LIMIT %(fan)s
    ) AS heaviest
    ORDER BY place, weight DESC, target, type
) AS sorted

-- name: in_edges
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (
    SELECT heaviest.*
    FROM unnest(%(seqs)s::bigint[]) WITH ORDINALITY AS sought (seq, place)
    CROSS JOIN LATERAL (
        SELECT source, target, type, weight, provenance
        FROM aspen.edge
        WHERE tenant_id = %(tenant)s AND target = sought.seq
        ORDER BY weight DESC, source, type
        LIMIT %(fan)s
    ) AS heaviest
    ORDER BY place, weight DESC, source, type
) AS sorted

-- name: memory_types
SELECT own.*
FROM unnest(%(seqs)s::bigint[]) AS sought (seq)
CROSS JOIN LATERAL (
    SELECT seq, type FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.seq = sought.seq LIMIT 1
) AS own

-- name: touch
INSERT INTO aspen.access (tenant_id, seq, count, at, revision)
SELECT %(tenant)s, seq, count, %(at)s, %(revision)s
FROM unnest(%(seqs)s::bigint[], %(counts)s::bigint[]) AS used (seq, count)
ON CONFLICT (tenant_id, seq) DO UPDATE SET
    count = access.count + excluded.count,
    at = greatest(access.at, excluded.at),
    revision = excluded.revision

-- Activation that spreads from some memories over edges, all in one query. A row of `walk` is one path: where it leads
-- and what it brings there. One edge more than the fan is read out of each memory: its row, of activation NULL, tells
-- that the fan left something out, and goes no further. A path never goes straight back; an edge of weight 0 takes its
-- place in the fan and brings nothing. What would be less than the smallest number is left out: Postgres takes a product
-- that is rounded to 0 for an error.
-- name: spread
WITH RECURSIVE walk (hop, start, previous, node, first_type, last_type, activation) AS (
    SELECT 0, seq, NULL::bigint, seq, NULL::text COLLATE "C", NULL::text COLLATE "C", activation
    FROM unnest(%(seqs)s::bigint[], %(activations)s::double precision[]) AS seed (seq, activation)
    UNION ALL
    SELECT
        hop + 1,
        start,
        node,
        target,
        coalesce(first_type, edge.type),
        edge.type,
        CASE WHEN place <= %(fan)s THEN
            activation * weight * coalesce(
                (%(factors)s::double precision[])[array_position(%(boosted)s::text[], target_type)], 1
            ) * %(decay)s
        END
    FROM walk
    CROSS JOIN LATERAL (
        SELECT target, type, weight, target_type, row_number() OVER (ORDER BY weight DESC, target, type) AS place
        FROM aspen.edge
        WHERE
            tenant_id = %(tenant)s
            AND source = node
            AND weight >= %(min_weight)s
            AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[]))
        ORDER BY weight DESC, target, type
        LIMIT %(fan)s + 1
    ) AS edge
    WHERE
        hop < %(max_hops)s
        AND activation > 0
        AND CASE
            WHEN place > %(fan)s THEN true
            WHEN weight = 0 OR target = previous THEN false
            ELSE ln(activation) + ln(weight) + ln(%(decay)s::double precision) > -744
        END
)
SELECT truncated, frames.*, ways.*
FROM (
    SELECT count(*) > 0 AS truncated FROM walk WHERE activation IS NULL
) AS cut
CROSS JOIN (
    SELECT string_agg(int4send(hop), ''), string_agg(int8send(node), ''), string_agg(float8send(arrived), '')
    FROM (
        SELECT hop, node, sum(activation) AS arrived
        FROM walk
        WHERE activation IS NOT NULL
        GROUP BY hop, node
        ORDER BY hop, node
    ) AS summed
) AS frames
CROSS JOIN (
    SELECT
        string_agg(int8send(node), ''),
        string_agg(int8send(start), ''),
        string_agg(int8send(CASE hop WHEN 1 THEN 0 ELSE previous END), ''),
        array_agg(first_type),
        array_agg(last_type),
        string_agg(float8send(activation), '')
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY node ORDER BY activation DESC, hop, start, previous, first_type, last_type
            ) AS place
        FROM walk
        WHERE hop > 0 AND activation IS NOT NULL
        -- The order of the window, so that nothing is sorted again.
        ORDER BY node, activation DESC, hop, start, previous, first_type, last_type
    ) AS ranked
    WHERE place <= %(paths)s
) AS ways
