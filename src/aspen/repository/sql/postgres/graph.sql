-- Statements about edges between memories, and how memories are used.

-- name: put_edges
INSERT INTO aspen.edge (tenant_id, source, target, type, weight, provenance, revision)
SELECT %(tenant)s, *, %(revision)s
FROM unnest(
    %(source)s::bigint[], %(target)s::bigint[], %(type)s::text[], %(weight)s::double precision[],
    %(provenance)s::text[]
)
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
RETURNING 1

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
SELECT seq, type FROM aspen.memory WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: touch
INSERT INTO aspen.access (tenant_id, seq, count, at, revision)
SELECT %(tenant)s, seq, count, %(at)s, %(revision)s
FROM unnest(%(seqs)s::bigint[], %(counts)s::bigint[]) AS used (seq, count)
ON CONFLICT (tenant_id, seq) DO UPDATE SET
    count = access.count + excluded.count,
    at = greatest(access.at, excluded.at),
    revision = excluded.revision
