//! Types of problems: the stable word for each status, and the page to which the `type` of a problem document leads.

use axum::http::StatusCode;

/// Every status with which a problem is answered, its word, and what it means for a program that meets it.
pub(super) const TYPES: [(StatusCode, &str, &str); 16] = [
    (
        StatusCode::NOT_FOUND,
        "not_found",
        "There is nothing at this address, or what was named does not exist. The same request will not succeed later.",
    ),
    (
        StatusCode::CONFLICT,
        "conflict",
        "The present state does not allow it. Read the state anew before you try again.",
    ),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
        "The input is wrong. The member errors names each field that is at fault.",
    ),
    (
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "Nobody is signed in, or the token is not valid.",
    ),
    (
        StatusCode::FORBIDDEN,
        "forbidden",
        "Whoever asked may not do this.",
    ),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "too_many",
        "There were too many requests. Wait for as long as the header Retry-After says.",
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Something that this needs does not work for the moment. Try again after the time in the header Retry-After.",
    ),
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "The program has a defect, and its log says more.",
    ),
    (
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This address does not take that method; the header Allow lists those that it takes.",
    ),
    (
        StatusCode::GONE,
        "gone",
        "It was there and is no more: a link has expired.",
    ),
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        "The body is larger than this address takes.",
    ),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body is of a kind that this address does not take; see the header Content-Type of the request.",
    ),
    (
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        "The answer has no form that the header Accept of the request allows; ask for application/json.",
    ),
    (
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        "It was changed since it was read: the header If-Match names another ETag. Read it anew, and decide again.",
    ),
    (
        StatusCode::PRECONDITION_REQUIRED,
        "precondition_required",
        "Send the ETag of what was read in the header If-Match, so that no change of somebody else is lost.",
    ),
    (
        StatusCode::BAD_REQUEST,
        "bad_request",
        "The request is not understood.",
    ),
];

/// Words of the API that are narrower than their status's own.
pub(super) const NARROW: [(StatusCode, &str, &str); 6] = [
    (
        StatusCode::FORBIDDEN,
        "insufficient_scope",
        "The token lacks the scope that this needs, or its maker's role no longer has it. The header WWW-Authenticate names the scope.",
    ),
    (
        StatusCode::CONFLICT,
        "subscriber_suppressed",
        "The address is on the suppression list, or its owner left. No program brings it back: only its owner does, by signing up again.",
    ),
    (
        StatusCode::CONFLICT,
        "subscriber_exists",
        "There is a subscriber with this address. Send \"on_conflict\": \"merge\" to change what is kept of them.",
    ),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "The Idempotency-Key belongs to another request. Take a fresh key for each request.",
    ),
    (
        StatusCode::CONFLICT,
        "idempotency_in_progress",
        "The request with this Idempotency-Key is at work. Ask again in a moment.",
    ),
    (
        StatusCode::BAD_REQUEST,
        "unsupported_version",
        "X-API-Version names a version that this installation does not have.",
    ),
];

/// The stable word of a status.
pub(super) fn code(status: StatusCode) -> &'static str {
    let known = TYPES.iter().find(|(known, ..)| *known == status);
    known.map_or("bad_request", |(_, code, _)| code)
}

/// Status and meaning of a code.
pub(super) fn meaning(code: &str) -> Option<(StatusCode, &'static str)> {
    let mut all = TYPES.iter().chain(&NARROW);
    all.find(|(_, known, _)| *known == code)
        .map(|(status, _, meaning)| (*status, *meaning))
}
