-- Reasons of failures held those of skipped deliveries too.
insert into digest_skips (mailing_id, reason, times)
    select d.mailing_id, d.skip_reason, count(*) from digests g join deliveries d on d.mailing_id = g.id
    where d.state = 'skipped' group by d.mailing_id, d.skip_reason;
insert into failure_reasons (mailing_id, reply, times)
    select o.mailing_id, o.reply, o.times - coalesce(k.times, 0)
    from old_failure_reasons o left join old_skips s on s.words = o.reply
        left join digest_skips k on k.mailing_id = o.mailing_id and k.reason = s.reason
    where o.times > coalesce(k.times, 0) and o.mailing_id in (select id from digests)
        and not exists (select 1 from deliveries d where s.reason is null and d.mailing_id = o.mailing_id and d.state = 'skipped'
            and d.skip_reason = 'note' and substr(d.reply, 1, 300) = o.reply);
drop table old_kinds;
drop table old_skips;
