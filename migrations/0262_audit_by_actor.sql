-- The audit log of one actor.
create index audit_by_actor on audit (actor_kind, actor, at, id);
