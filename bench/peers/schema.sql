-- Tables of both peers: the status of each message, and all its callbacks.
CREATE TABLE message (
    sid text PRIMARY KEY,
    status text NOT NULL,
    rank smallint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE status_history (
    id bigserial PRIMARY KEY,
    sid text NOT NULL REFERENCES message,
    status text NOT NULL,
    raw jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON status_history (sid);
