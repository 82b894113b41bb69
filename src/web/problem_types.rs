//! Types of problems: the stable word for each status, and the page to which the `type` of a problem document leads.

use axum::http::StatusCode;

/// Every status with which a problem is answered, its word, and what it means for a program that meets it.
pub(super) const TYPES: [(StatusCode, &str, &str); 13] = [
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
        StatusCode::BAD_REQUEST,
        "bad_request",
        "The request is not understood.",
    ),
];

/// The stable word of a status.
pub(super) fn code(status: StatusCode) -> &'static str {
    let known = TYPES.iter().find(|(known, ..)| *known == status);
    known.map_or("bad_request", |(_, code, _)| code)
}
