use super::dress::generic;
use super::*;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body, read_body_json, try_call_service};
use actix_web::{App, HttpResponse, ResponseError};
use serde_json::{Value, json};

macro_rules! app {
    ($frame:expr) => {
        init_service(
            App::new()
                .app_data(web::Data::new($frame))
                .wrap(from_fn(frame))
                .route(
                    "/api/v1/sos/{id}",
                    web::get().to(async || Err::<HttpResponse, _>(ApiError::sos_closed())),
                )
                .route(
                    "/api/location",
                    web::post().to(async |_: web::Json<Value>| HttpResponse::Ok()),
                )
                .route(
                    "/slow",
                    web::get().to(async || std::future::pending::<HttpResponse>().await),
                )
                .route(
                    "/own",
                    web::get().to(async || HttpResponse::Conflict().body("mine")),
                ),
        )
        .await
    };
}

fn patient() -> Frame {
    Frame {
        timeout: Duration::from_secs(60),
        ..Frame::new(&Config::default(), Arc::new(Metrics::new()), Arc::default())
    }
}

#[actix_web::test]
async fn an_error_carries_the_requests_id_in_header_and_body() {
    let app = app!(patient());
    let request = TestRequest::get()
        .uri("/api/v1/sos/1")
        .insert_header((X_REQUEST_ID, "abc-1"));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), 409);
    assert_eq!(response.headers().get(X_REQUEST_ID).unwrap(), "abc-1");
    let body: Value = read_body_json(response).await;
    let expected =
        json!({"success": false, "code": "SOS_CLOSED", "message": "SOS is closed", "requestId": "abc-1"});
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn an_id_that_is_not_sane_is_replaced() {
    let app = app!(patient());
    let long = "x".repeat(65);
    for bad in ["", "a b", "a\u{e9}", "<script>", &long] {
        let request = TestRequest::get()
            .uri("/own")
            .insert_header((X_REQUEST_ID, bad.as_bytes()));
        let response = call_service(&app, request.to_request()).await;
        let id = response.headers().get(X_REQUEST_ID).unwrap().to_str().unwrap();
        assert!(id.len() == 24 && id != bad, "{id}");
    }
}

#[actix_web::test]
async fn what_actix_refuses_gets_our_words_in_the_dialect_of_the_path() {
    let app = app!(patient());
    let response = call_service(&app, TestRequest::get().uri("/api/v1/nowhere").to_request()).await;
    assert_eq!(response.status(), 404);
    assert_eq!(read_body_json::<Value, _>(response).await["code"], "NOT_FOUND");
    let response = call_service(&app, TestRequest::delete().uri("/own").to_request()).await;
    assert!(response.status().is_client_error());
    let response = call_service(&app, TestRequest::post().uri("/api/location").to_request()).await;
    assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/json");
    assert!(read_body_json::<Value, _>(response).await["error"].is_string());
}

#[actix_web::test]
async fn a_handlers_own_answer_is_left_alone() {
    let response = call_service(&app!(patient()), TestRequest::get().uri("/own").to_request()).await;
    assert_eq!(read_body(response).await, "mine");
}

#[actix_web::test]
async fn a_request_that_takes_too_long_is_told_so_and_counted() {
    let frame = Frame {
        timeout: Duration::ZERO,
        ..patient()
    };
    let metrics = frame.metrics.clone();
    let app = app!(frame);
    let error = try_call_service(&app, TestRequest::get().uri("/slow").to_request())
        .await
        .unwrap_err();
    let response = error.as_response_error().error_response();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key(RETRY_AFTER) && response.headers().contains_key(X_REQUEST_ID));
    let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "TIMEOUT");
    let line = "mayday_http_requests_total{route=\"operations\",status=\"503\"} 1";
    assert!(metrics.render().contains(line), "{}", metrics.render());
}

#[actix_web::test]
async fn a_timeout_reaches_a_real_client_whole() {
    let frame_data = web::Data::new(Frame {
        timeout: Duration::ZERO,
        ..patient()
    });
    let server = actix_web::HttpServer::new(move || {
        App::new()
            .app_data(frame_data.clone())
            .wrap(from_fn(frame))
            .route(
                "/slow",
                web::get().to(async || std::future::pending::<HttpResponse>().await),
            )
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/slow", server.addrs()[0]);
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    let request = reqwest::Client::new().get(url).header("x-request-id", "t-1");
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-request-id"]),
        (503, &"t-1".parse().unwrap())
    );
    assert_eq!(response.json::<Value>().await.unwrap()["requestId"], "t-1");
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_refused_upgrade_gets_the_same_words() {
    let request = TestRequest::get()
        .uri("/api/ws")
        .insert_header((X_REQUEST_ID, "u-1"))
        .to_http_request();
    let response = patient().refusal(ApiError::unauthenticated("No credential"), request.head());
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers().get(X_REQUEST_ID).unwrap(), "u-1");
    let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let expected = json!({
        "success": false, "code": "UNAUTHENTICATED", "message": "No credential", "requestId": "u-1"
    });
    assert_eq!(body, expected);
}

#[test]
fn an_internal_error_tells_nothing() {
    let error: Error = actix_web::error::ErrorInternalServerError("the database password is 1234");
    let told = generic(StatusCode::INTERNAL_SERVER_ERROR, Some(&error));
    assert_eq!(told, ApiError::internal());
    assert_eq!(told.status_code(), 500);
}
