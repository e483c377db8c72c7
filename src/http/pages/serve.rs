//! The answers: a page or a file, whole or compressed, or that it has not changed.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG,
    Encoding, HOST, Header, HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::assets::{self, Asset};
use super::{Pages, atlas, policy};
use crate::domain::ids::RoomId;
use crate::http::error::ApiError;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// A page is asked for anew each time, and mostly answered that it is the same.
const FRESH: &str = "no-cache";
/// A file's address changes with its content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /`
pub async fn home(pages: web::Data<Pages>, request: HttpRequest) -> HttpResponse {
    page(&pages, &request, pages.home(), StatusCode::OK)
}

/// `GET /live/{sosId}`. Whether there is such an incident, and for whom, the page asks by REST like any client.
pub async fn live(pages: web::Data<Pages>, id: web::Path<String>, request: HttpRequest) -> HttpResponse {
    let known = RoomId::new(id.as_str()).is_ok();
    let status = if known {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    page(&pages, &request, pages.live(), status)
}

/// `GET /assets/{version}/{path}`
///
/// # Errors
/// 404 when there is no such file.
pub async fn asset(
    place: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (version, path) = place.into_inner();
    let asset = assets::find(&path).ok_or_else(|| ApiError::not_found("Not found"))?;
    Ok(file(&request, &version, asset))
}

/// `GET /assets/{version}/map/cell/{column}/{row}`
///
/// # Errors
/// 404 where there is only sea.
pub async fn map(place: web::Path<(String, u8, u8)>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (version, column, row) = place.into_inner();
    let cell = atlas::cell(column, row).ok_or_else(|| ApiError::not_found("Not found"))?;
    Ok(file(&request, &version, &Asset::map(cell)))
}

fn page(pages: &Pages, request: &HttpRequest, asset: &Asset, status: StatusCode) -> HttpResponse {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    send(request, asset, status, |answer| {
        answer
            .insert_header((CACHE_CONTROL, FRESH))
            .insert_header((
                CONTENT_SECURITY_POLICY,
                policy::content_policy(host, pages.tiles.as_deref()),
            ))
            .insert_header((PERMISSIONS_POLICY, "geolocation=(self), camera=(), microphone=()"))
            .insert_header((OPENER_POLICY, "same-origin"))
            // The address of a live page names an incident.
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .insert_header((ROBOTS, "noindex"));
    })
}

fn file(request: &HttpRequest, version: &str, asset: &Asset) -> HttpResponse {
    // A page of an older build gets what is there now, and must ask again.
    let current = version == assets::version();
    let caching = if current { FOR_EVER } else { FRESH };
    send(request, asset, StatusCode::OK, |answer| {
        answer.insert_header((CACHE_CONTROL, caching));
    })
}

fn send(
    request: &HttpRequest,
    asset: &Asset,
    status: StatusCode,
    dress: impl FnOnce(&mut HttpResponseBuilder),
) -> HttpResponse {
    let same = status == StatusCode::OK && knows(request, &asset.etag);
    let mut answer = HttpResponse::build(if same { StatusCode::NOT_MODIFIED } else { status });
    dress(&mut answer);
    answer
        .insert_header((ETAG, asset.etag.as_str()))
        .insert_header((VARY, ACCEPT_ENCODING.as_str()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((RESOURCE_POLICY, "same-origin"));
    if same {
        return answer.finish();
    }
    answer.content_type(asset.kind);
    if takes_gzip(request) {
        answer.insert_header((CONTENT_ENCODING, "gzip"));
        return answer.body(asset.gzip.clone());
    }
    answer.body(asset.plain())
}

fn knows(request: &HttpRequest, etag: &str) -> bool {
    let named = request.headers().get_all(IF_NONE_MATCH);
    named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/"))
        .any(|value| value == etag || value == "*")
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let Ok(accepted) = AcceptEncoding::parse(request) else {
        return false;
    };
    let offered = [Encoding::gzip(), Encoding::identity()];
    request.headers().contains_key(ACCEPT_ENCODING)
        && accepted.negotiate(offered.iter()) == Some(Encoding::gzip())
}
