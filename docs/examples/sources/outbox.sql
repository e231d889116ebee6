-- An outbox: what is told is written in the same transaction as what it tells of.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic text NOT NULL,
    key text,
    op text NOT NULL DEFAULT 'upsert',
    payload jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_order ON outbox (tx, id);

-- Whoever follows it is told at once; without this it is looked for rows every second.
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY outbox;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();
