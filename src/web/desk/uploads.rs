//! Files that come by a form.

use axum::extract::FromRequest;
use axum::extract::Multipart;
use axum::extract::Request;

use super::super::Web;
use super::super::answer::Problem;
use super::answers;
use crate::app::jobs::UploadDraft;

/// Takes the file of a form in and keeps it; returns the key by which it is kept, or the sentence that says why there is none.
pub(super) async fn keep(web: &Web, request: Request) -> Result<Result<String, String>, Problem> {
    let (name, draft) = match receive(web, request).await? {
        Ok(file) => file,
        Err(words) => return Ok(Err(words)),
    };
    match web.app.keep_upload(draft, &name) {
        Ok(key) => Ok(Ok(key)),
        Err(failure) => Ok(Err(answers::refusal(failure)?)),
    }
}

/// Takes the file of a form in as it comes: what is in memory does not grow with it. The name that it had, and the file; `Err` inside
/// says why there is none.
async fn receive(
    web: &Web,
    request: Request,
) -> Result<Result<(String, UploadDraft), String>, Problem> {
    let largest = &web.app.settings.desk.largest_upload;
    let incomplete = || {
        Err(format!(
            "The file did not come whole, or is larger than {largest} (desk.largest_upload). Nothing was kept."
        ))
    };
    let Ok(mut form) = Multipart::from_request(request, web).await else {
        return Ok(incomplete());
    };
    let mut draft = web.app.begin_upload()?;
    let mut name = String::new();
    loop {
        let mut field = match form.next_field().await {
            Ok(Some(field)) if field.name() == Some("file") => field,
            Ok(Some(_)) => continue,
            Ok(None) => break,
            Err(_) => return Ok(incomplete()),
        };
        name = field.file_name().unwrap_or_default().to_owned();
        loop {
            match field.chunk().await {
                Ok(Some(piece)) => draft.write(&piece)?,
                Ok(None) => break,
                Err(_) => return Ok(incomplete()),
            }
        }
    }
    Ok(Ok((name, draft)))
}
