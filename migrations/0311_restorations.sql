-- Restorations from a backup: what happened between backup_at and restored_at is not known here. Until somebody accepts that, no digest is
-- published and none is resumed, for it may have gone out then.
create table restorations (
    restored_at bigint not null primary key,
    backup_at bigint not null,
    -- Deliveries that were on their way in the backup: each is in doubt, and none is sent again by itself.
    uncertain bigint not null,
    accepted_at bigint
);
