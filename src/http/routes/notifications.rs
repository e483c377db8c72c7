//! Who was told of an incident, and that somebody acts.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use actix_web::{HttpResponse, web};

use super::Api;
use super::params::{OptionalBody, SosId};
use crate::actors::CommandError;
use crate::actors::notify::Heard;
use crate::actors::room::Glimpse;
use crate::domain::room::{Command, Means, Rejection};
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::wire::rest::{AcknowledgedView, NoFields, NotificationView};

/// `GET /sos/{id}/notifications`
pub(super) async fn list(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    let look = |glimpse: &Glimpse<'_>| {
        let incident = glimpse.state.incident.as_ref().ok_or(Rejection::NotFound)?;
        let messages = incident.told.messages.iter();
        let views = messages.map(|(id, one)| {
            let person = one.to.and_then(|who| glimpse.person(who));
            NotificationView::of(*id, one, person.and_then(|person| person.name.as_deref()))
        });
        Ok::<_, Rejection>(views.collect::<Vec<_>>())
    };
    let views = api.engine.glance(&id, Some(&caller.identity), look).await??;
    Ok(envelope::ok(views))
}

/// `POST /sos/{id}/acknowledge`
pub(super) async fn acknowledge(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    NoFields::parse(&body.0)?;
    api.incident(&id, &caller.identity).await?;
    let command = Command::Acknowledge {
        means: Means::Request,
    };
    let outcome = api.engine.act(&id, &caller.identity, command, None).await?;
    Ok(envelope::ok(AcknowledgedView::new(
        &id,
        outcome.seq,
        !outcome.events.is_empty(),
    )))
}

/// What a page says.
struct Said<'a> {
    status: StatusCode,
    title: &'a str,
    text: String,
    /// A button that acknowledges.
    button: bool,
}

/// `GET /a/{token}`: looking changes nothing, since mail filters and messengers follow links before people do.
pub(super) async fn ask(api: web::Data<Api>, token: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let Some((room, who)) = api.links.read(&token) else {
        return Ok(page(&unknown()));
    };
    let identity = std::sync::Arc::clone(&api.reader);
    let look = move |glimpse: &Glimpse<'_>| {
        let incident = glimpse.state.incident.as_ref()?;
        let owner = glimpse.state.owner.and_then(|owner| glimpse.person(owner));
        let name = owner.and_then(|owner| owner.name.clone());
        let known = glimpse.person(who).is_some();
        let done = incident.told.acknowledged_by.contains(&who);
        Some((
            incident.status.is_open(),
            known,
            done,
            name,
            incident.report.drill,
        ))
    };
    let found = api.engine.glance(&room, Some(&identity), look).await;
    let said = match &found {
        Ok(Some((true, true, done, name, drill))) => asked(name.as_deref(), *drill, *done),
        Ok(Some((false, true, ..))) => over(),
        Ok(_) | Err(CommandError::Rejected(Rejection::NotFound)) => unknown(),
        Err(error) => return Err(error.clone().into()),
    };
    Ok(page(&said))
}

/// `POST /a/{token}`
pub(super) async fn answer(api: web::Data<Api>, token: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let Some((room, who)) = api.links.read(&token) else {
        return Ok(page(&unknown()));
    };
    let heard = api.engine.acknowledge_for(&room, who, Means::Link).await?;
    Ok(page(&match heard {
        Heard::Noted => Said {
            status: StatusCode::OK,
            title: "Thank you",
            text: "Everybody who looks after this call knows that you are on it.".to_owned(),
            button: false,
        },
        Heard::Unknown => over(),
    }))
}

fn asked(name: Option<&str>, drill: bool, done: bool) -> Said<'_> {
    let who = name.unwrap_or("Somebody");
    let exercise = if drill { "This is an exercise. " } else { "" };
    let text = if done {
        format!("{exercise}{who} called for help, and it is known that you are on it.")
    } else {
        format!("{exercise}{who} called for help. Press the button when you see to it, so that others know.")
    };
    Said {
        status: StatusCode::OK,
        title: "A call for help",
        text,
        button: !done,
    }
}

fn over() -> Said<'static> {
    Said {
        status: StatusCode::GONE,
        title: "This call is over",
        text: "Nothing is left to be done here.".to_owned(),
        button: false,
    }
}

fn unknown() -> Said<'static> {
    Said {
        status: StatusCode::NOT_FOUND,
        title: "No such link",
        text: "It may have been cut off on its way. Ask whoever sent it.".to_owned(),
        button: false,
    }
}

/// A page without scripts and without anything from elsewhere: it must work on any phone.
fn page(said: &Said<'_>) -> HttpResponse {
    // Braces of what is filled in are escaped: it opens no other place.
    let html = PAGE
        .replace("{{title}}", &escaped(said.title))
        .replace("{{text}}", &escaped(&said.text))
        .replace("{{button}}", if said.button { BUTTON } else { "" });
    HttpResponse::build(said.status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(html)
}

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const BUTTON: &str = "<form method=\"post\"><button type=\"submit\">I am on it</button></form>";
const PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
    <meta name=\"robots\" content=\"noindex\">\n<title>{{title}}</title>\n<style>\n\
    body{font:1.2rem/1.5 system-ui,sans-serif;margin:0 auto;padding:2rem;max-width:32rem;color:#1b1b1b;background:#fff}\n\
    button{font:inherit;font-weight:600;width:100%;padding:1rem;border:0;border-radius:.5rem;color:#fff;background:#b3001b}\n\
    button:focus-visible{outline:3px solid #1b1b1b;outline-offset:2px}\n\
    @media (prefers-color-scheme:dark){body{color:#f4f4f4;background:#121212}button:focus-visible{outline-color:#f4f4f4}}\n\
    </style>\n</head>\n<body>\n<main>\n<h1>{{title}}</h1>\n<p>{{text}}</p>\n{{button}}\n</main>\n</body>\n</html>\n";

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '{' => out.push_str("&#123;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn what_somebody_is_called_is_text_on_the_page() {
        let said = asked(Some("<b onclick=x>{{button}}&\"</b>"), false, true);
        let body = actix_web::body::to_bytes(page(&said).into_body()).await.unwrap();
        let html = std::str::from_utf8(&body).unwrap();
        assert!(
            html.contains("&lt;b onclick=x&gt;&#123;&#123;button}}&amp;&quot;&lt;/b&gt; called for help")
        );
        assert!(!html.contains("<form"));
    }
}
