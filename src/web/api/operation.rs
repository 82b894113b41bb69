//! Operations: each says what it demands, takes and answers, so that router, document and tests are made from one table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodFilter;
use axum::routing::MethodRouter;
use axum::routing::on;
use utoipa::ToSchema;

use super::super::Web;
use super::BASE;
use super::access;
use super::idempotency;
use super::schema::Shape;
use crate::domain::api_token::Scope;

/// The largest body of an operation that does not say otherwise, in bytes.
pub const LARGEST: usize = 256 << 10;

/// Demand of an operation on its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the document itself.
    Nothing,
    /// Any token.
    Token,
    /// A token with this scope.
    Scope(Scope),
}

/// Content of an answer.
#[derive(Debug, Clone)]
pub enum Content {
    /// None.
    Empty,
    /// JSON of that shape.
    Json(Shape),
    /// A page of a list of that shape.
    Page(Shape),
    /// Something else, by its media type.
    Raw(&'static str),
}

/// An answer that is no problem.
#[derive(Debug, Clone)]
pub struct AnswerShape {
    /// Status.
    pub status: u16,
    /// A sentence.
    pub words: &'static str,
    /// Content.
    pub content: Content,
    /// Headers, each with a sentence.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// A body that is taken.
#[derive(Debug, Clone)]
pub enum Taken {
    /// JSON of that shape.
    Json(Shape),
    /// A merge patch (RFC 7396) of that shape.
    Patch(Shape),
    /// Something else, by its media types; JSON among them has that shape.
    Raw(&'static [&'static str], Shape),
}

/// An operation of the API.
pub struct Operation {
    /// Method.
    pub method: Method,
    /// Path below `/api/v1`.
    pub path: &'static str,
    /// Name of the operation, for generated clients.
    pub id: &'static str,
    /// Sentence of what it does.
    pub summary: &'static str,
    /// More sentences.
    pub description: &'static str,
    /// Demand on the caller.
    pub need: Need,
    /// Parameters of the query.
    pub query: Option<Shape>,
    /// Body.
    pub body: Option<Taken>,
    /// Answers that are no problem.
    pub answers: Vec<AnswerShape>,
    /// Problems beyond those that every operation may have.
    pub problems: Vec<u16>,
    /// True if the header If-Match is asked for.
    pub needs_match: bool,
    largest: usize,
    handler: MethodRouter<Web>,
}

impl Operation {
    fn new(method: Method, path: &'static str, need: Need, handler: MethodRouter<Web>) -> Self {
        Self {
            method,
            path,
            id: "",
            summary: "",
            description: "",
            need,
            query: None,
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            needs_match: false,
            largest: LARGEST,
            handler,
        }
    }

    /// Reads something.
    pub fn get<T: 'static>(path: &'static str, need: Need, handler: impl Handler<T, Web>) -> Self {
        Self::new(Method::GET, path, need, on(MethodFilter::GET, handler))
    }

    /// Makes something, or does something; takes an Idempotency-Key.
    pub fn post<T: 'static>(
        path: &'static str,
        scope: Scope,
        handler: impl Handler<T, Web>,
    ) -> Self {
        let need = Need::Scope(scope);
        Self::new(Method::POST, path, need, on(MethodFilter::POST, handler))
    }

    /// Writes the whole of something.
    pub fn put<T: 'static>(
        path: &'static str,
        scope: Scope,
        handler: impl Handler<T, Web>,
    ) -> Self {
        let need = Need::Scope(scope);
        Self::new(Method::PUT, path, need, on(MethodFilter::PUT, handler))
    }

    /// Changes a part of something.
    pub fn patch<T: 'static>(
        path: &'static str,
        scope: Scope,
        handler: impl Handler<T, Web>,
    ) -> Self {
        let need = Need::Scope(scope);
        Self::new(Method::PATCH, path, need, on(MethodFilter::PATCH, handler))
    }

    /// Takes something away.
    pub fn delete<T: 'static>(
        path: &'static str,
        scope: Scope,
        handler: impl Handler<T, Web>,
    ) -> Self {
        let need = Need::Scope(scope);
        Self::new(
            Method::DELETE,
            path,
            need,
            on(MethodFilter::DELETE, handler),
        )
    }

    /// The same, with its name and what it does.
    pub fn named(self, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            ..self
        }
    }

    /// The same, with more words.
    pub fn explained(self, description: &'static str) -> Self {
        Self {
            description,
            ..self
        }
    }

    /// The same, with parameters in its query: the fields of `T`, read by [`super::extract::Query`].
    pub fn asks<T: ToSchema>(self) -> Self {
        Self {
            query: Some(Shape::of::<T>()),
            ..self
        }
    }

    /// The same, with a JSON body, read by [`super::extract::Body`].
    pub fn takes<T: ToSchema>(self) -> Self {
        Self {
            body: Some(Taken::Json(Shape::of::<T>())),
            ..self
        }
    }

    /// The same, with a merge patch as its body, read by [`super::extract::Patch`].
    pub fn merges<T: ToSchema>(self) -> Self {
        Self {
            body: Some(Taken::Patch(Shape::of::<T>())),
            ..self
        }
    }

    /// The same, with a body of one of these media types and up to that many bytes; JSON has the shape of `T`.
    pub fn takes_raw_or<T: ToSchema>(self, types: &'static [&'static str], largest: usize) -> Self {
        Self {
            body: Some(Taken::Raw(types, Shape::of::<T>())),
            largest,
            ..self
        }
    }

    /// The same, with an answer in JSON.
    pub fn answers<T: ToSchema>(self, status: u16, words: &'static str) -> Self {
        self.answering(status, words, Content::Json(Shape::of::<T>()))
    }

    /// The same, with an answer that is a page of a list.
    pub fn pages<T: ToSchema>(self, words: &'static str) -> Self {
        let page = self.answering(200, words, Content::Page(Shape::of::<T>()));
        page.with_header("Link", "The next page, with rel=\"next\", if there is one.")
    }

    /// The same, with an answer without content.
    pub fn answers_nothing(self, status: u16, words: &'static str) -> Self {
        self.answering(status, words, Content::Empty)
    }

    /// The same, with an answer of another media type.
    pub fn answers_raw(self, media_type: &'static str, words: &'static str) -> Self {
        self.answering(200, words, Content::Raw(media_type))
    }

    /// The same, with a job that goes on after the answer.
    pub fn starts_job(self) -> Self {
        self.answers::<super::jobs::JobShape>(202, "A job was started; its address is in Location.")
            .with_header("Location", "Address of the job.")
    }

    fn answering(mut self, status: u16, words: &'static str, content: Content) -> Self {
        self.answers.push(AnswerShape {
            status,
            words,
            content,
            headers: Vec::new(),
        });
        self
    }

    /// The same, with a header on its last answer.
    pub fn with_header(mut self, name: &'static str, words: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((name, words));
        }
        self
    }

    /// The same, with problems beyond those of every operation.
    pub fn problems(mut self, statuses: &[u16]) -> Self {
        self.problems.extend_from_slice(statuses);
        self
    }

    /// The same, which works only with the ETag of what was read in If-Match.
    pub fn matched(self) -> Self {
        let matched = Self {
            needs_match: true,
            ..self
        };
        matched.problems(&[412, 428])
    }

    /// Media types that it answers with.
    pub fn media_types(&self) -> Vec<&'static str> {
        let media_type = |answer: &AnswerShape| match answer.content {
            Content::Empty | Content::Json(_) | Content::Page(_) => "application/json",
            Content::Raw(media_type) => media_type,
        };
        self.answers.iter().map(media_type).collect()
    }

    /// Adds its route, behind what it demands.
    pub fn add_to(self, router: Router<Web>, web: &Web) -> Router<Web> {
        let gate = access::Gate {
            web: web.clone(),
            need: self.need,
            media_types: self.media_types(),
        };
        let mut handler = self.handler.layer(DefaultBodyLimit::max(self.largest));
        if self.method == Method::POST {
            let keyed = idempotency::Keyed {
                web: web.clone(),
                largest: self.largest,
            };
            handler = handler.layer(from_fn_with_state(keyed, idempotency::once));
        }
        router.route(
            &format!("{BASE}{}", self.path),
            handler.route_layer(from_fn_with_state(gate, access::hold)),
        )
    }
}
