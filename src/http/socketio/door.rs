//! Who may sit down in a namespace: by what the client shows for it, or showed when the connection was opened.

use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN};
use actix_web::web::Data;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, ready};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::pids::Pids;
use crate::actors::Credential;
use crate::actors::socketio::{ADMIN, Admitted, Door};
use crate::domain::people::Subject;
use crate::http::address::Address;
use crate::http::auth::{X_DEVICE_ID, X_DEVICE_TOKEN, X_INTERNAL_TOKEN};
use crate::http::error::{ApiError, Code};
use crate::http::gate::Gate;
use crate::http::hints::SocketPass;
use crate::wire::socketio::{ConnectError, Json, Namespace};

/// The headers that say who somebody is, and those by which a cookie is judged.
static SHOWN: [HeaderName; 7] = [
    AUTHORIZATION,
    COOKIE,
    ORIGIN,
    HOST,
    X_DEVICE_ID,
    X_DEVICE_TOKEN,
    X_INTERNAL_TOKEN,
];

/// Of them, those without which there is no credential in them.
static CREDENTIALS: [HeaderName; 4] = [AUTHORIZATION, COOKIE, X_DEVICE_ID, X_INTERNAL_TOKEN];

/// What a client shows for a namespace (protocol page, section 1).
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Auth {
    token: Option<String>,
    device_id: Option<String>,
    device_token: Option<String>,
    ticket: Option<String>,
}

/// The door of one connection.
pub(super) struct SocketDoor {
    gate: Data<Gate>,
    pids: Arc<Pids>,
    address: Option<Address>,
    /// What was shown when the connection was opened, if anything was.
    shown: Option<Box<Shown>>,
}

#[derive(Clone, Default)]
struct Shown {
    headers: Vec<(HeaderName, HeaderValue)>,
    token: Option<String>,
    device_id: Option<String>,
    device_token: Option<String>,
    ticket: Option<String>,
}

impl SocketDoor {
    pub fn new(gate: Data<Gate>, pids: Arc<Pids>, address: Option<Address>, head: &RequestHead) -> Self {
        Self {
            gate,
            pids,
            address,
            shown: Shown::of(head).map(Box::new),
        }
    }
}

impl Shown {
    fn of(head: &RequestHead) -> Option<Self> {
        let mut shown = Self::default();
        for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            let place = match &*name {
                "token" => &mut shown.token,
                "deviceId" => &mut shown.device_id,
                "deviceToken" => &mut shown.device_token,
                "ticket" => &mut shown.ticket,
                _ => continue,
            };
            place.get_or_insert_with(|| value.into_owned());
        }
        if CREDENTIALS.iter().any(|name| head.headers.contains_key(name)) {
            for name in &SHOWN {
                let values = head.headers.get_all(name);
                shown
                    .headers
                    .extend(values.map(|value| (name.clone(), value.clone())));
            }
        }
        let any = shown.token.is_some() || shown.device_id.is_some() || shown.ticket.is_some();
        (any || !shown.headers.is_empty()).then_some(shown)
    }

    /// A request that shows all this, and `auth` in place of what it has too: the same rules then judge it as any other.
    fn with(self, auth: Auth) -> Result<RequestHead, ConnectError> {
        let mut head = RequestHead::default();
        for (name, value) in self.headers {
            head.headers.append(name, value);
        }
        let mut set = |name: HeaderName, field: &str, value: String| {
            let value = HeaderValue::try_from(value);
            let value = value.map_err(|_| unauthenticated(&format!("auth.{field} is not readable")))?;
            head.headers.insert(name, value);
            Ok(())
        };
        // Whoever shows a token for the namespace does not mean the one that their browser adds.
        let by_header = auth.token.is_some();
        if let Some(token) = auth.token.or(self.token) {
            let bare = token.trim();
            let bare = bare.strip_prefix("Bearer ").unwrap_or(bare);
            set(AUTHORIZATION, "token", format!("Bearer {bare}"))?;
        }
        if let Some(device) = auth.device_id.or(self.device_id) {
            set(X_DEVICE_ID, "deviceId", device)?;
        }
        if let Some(token) = auth.device_token.or(self.device_token) {
            set(X_DEVICE_TOKEN, "deviceToken", token)?;
        }
        if by_header {
            head.headers.remove(COOKIE);
        }
        if let Some(ticket) = auth.ticket.or(self.ticket) {
            let query: String = form_urlencoded::Serializer::new(String::new())
                .append_pair("ticket", &ticket)
                .finish();
            let uri = Uri::try_from(format!("/socket.io/?{query}"));
            head.uri = uri.map_err(|_| unauthenticated("auth.ticket is not readable"))?;
        }
        Ok(head)
    }
}

impl Door for SocketDoor {
    fn admit(
        &self,
        namespace: &Namespace,
        auth: &Json,
    ) -> LocalBoxFuture<'static, Result<Admitted, ConnectError>> {
        let auth: Auth = match serde_json::from_str(auth.as_str()) {
            Ok(auth) => auth,
            Err(_) => {
                let what = "auth holds texts: token, deviceId, deviceToken, ticket";
                return ready(Err(unauthenticated(what))).boxed_local();
            }
        };
        let shown = self.shown.as_deref().cloned().unwrap_or_default();
        let head = match shown.with(auth) {
            Ok(head) => head,
            Err(error) => return ready(Err(error)).boxed_local(),
        };
        let (gate, address, namespace) = (self.gate.clone(), self.address, namespace.clone());
        async move {
            gate.fetch_keys_for(&head).await;
            gate.fetch_ticket_for(&head).await;
            let (caller, guard) = gate.admit_from(&head, address).map_err(|error| told(&error))?;
            if namespace == ADMIN && !caller.identity.role.is_staff() {
                return Err(refusal(
                    "UNAUTHORIZED",
                    "UNAUTHORIZED: this namespace is for staff",
                ));
            }
            let credential = Credential {
                identity: Arc::clone(&caller.identity),
                expires_at: caller.expires_at,
                judge: gate.clone().into_inner(),
            };
            Ok(Admitted {
                credential,
                pass: Arc::new(SocketPass::new(gate, caller, address)),
                guard: Box::new(guard),
            })
        }
        .boxed_local()
    }

    fn pid(&self, namespace: &Namespace, whose: &Subject, sid: &str) -> String {
        self.pids.issue(namespace, whose, sid)
    }

    fn sid_of(&self, namespace: &Namespace, whose: &Subject, pid: &str) -> Option<String> {
        self.pids.sid_of(namespace, whose, pid)
    }
}

fn told(error: &ApiError) -> ConnectError {
    let (code, message) = (error.code(), error.message());
    match code {
        Code::Unauthenticated => unauthenticated(message),
        code => refusal(code.as_str(), &format!("{code}: {message}")),
    }
}

/// Clients look at how the message begins (protocol page, section 1).
fn unauthenticated(what: &str) -> ConnectError {
    refusal(
        Code::Unauthenticated.as_str(),
        &format!("AUTHENTICATION_ERROR: {what}"),
    )
}

fn refusal(code: &str, message: &str) -> ConnectError {
    ConnectError {
        message: message.to_owned(),
        data: Some(json!({"code": code})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &[(HeaderName, &'static str)], query: &str) -> Option<Shown> {
        let mut head = RequestHead::default();
        for (name, value) in headers {
            head.headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        head.uri = Uri::try_from(format!("/socket.io/?EIO=4&{query}")).unwrap();
        Shown::of(&head)
    }

    fn text(head: &RequestHead, name: &HeaderName) -> Option<String> {
        head.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_shown_for_the_namespace_comes_before_what_was_shown_at_first() {
        let opened = shown(&[(AUTHORIZATION, "Bearer old"), (COOKIE, "t=x")], "deviceId=d").unwrap();
        let auth = Auth {
            token: Some("Bearer new".into()),
            ..Auth::default()
        };
        let head = opened.clone().with(auth).unwrap();
        assert_eq!(text(&head, &AUTHORIZATION).unwrap(), "Bearer new");
        assert_eq!(text(&head, &X_DEVICE_ID).unwrap(), "d");
        assert_eq!(text(&head, &COOKIE), None);
        let head = opened.with(Auth::default()).unwrap();
        assert_eq!(text(&head, &AUTHORIZATION).unwrap(), "Bearer old");
        assert_eq!(text(&head, &COOKIE).unwrap(), "t=x");
    }

    #[test]
    fn older_clients_show_a_token_in_the_query() {
        let head = shown(&[], "token=abc").unwrap().with(Auth::default()).unwrap();
        assert_eq!(text(&head, &AUTHORIZATION).unwrap(), "Bearer abc");
        assert!(shown(&[(HOST, "h")], "transport=polling").is_none());
    }

    #[test]
    fn a_ticket_is_redeemed_like_any_other() {
        let auth = Auth {
            ticket: Some("a b".into()),
            ..Auth::default()
        };
        let head = Shown::default().with(auth).unwrap();
        assert_eq!(head.uri.query(), Some("ticket=a+b"));
        let auth = Auth {
            token: Some("a\nb".into()),
            ..Auth::default()
        };
        let Err(error) = Shown::default().with(auth) else {
            panic!("it was taken")
        };
        assert_eq!(error.message, "AUTHENTICATION_ERROR: auth.token is not readable");
    }
}
