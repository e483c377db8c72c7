//! The command line: `serve`, `token`, `api-key`, `migrate`, `backup`, `restore`, `check`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};

use crate::app::{self, AppError};
use crate::config::{Config, ConfigError, SecretError, Secrets};
use crate::domain::ids::{RoomId, ServiceName, UserId};
use crate::domain::people::Role;
use crate::domain::phone::PhoneNumber;
use crate::domain::scopes::Scope;
use crate::domain::time::Timestamp;
use crate::http::jwt::{self, Grant, IssueError};
use crate::http::keys::{KeyRing, KeysError, Source};
use crate::http::services;
use crate::telemetry::{self, TelemetryError};

/// The settings or the command line are wrong: nothing was tried.
const USAGE: u8 = 2;
/// A restore is done, but for rooms that have gone another way.
const DIVERGED: u8 = 3;

/// A realtime emergency engine.
#[derive(Debug, Parser)]
#[command(name = "mayday", version)]
pub struct Cli {
    /// The settings; without it `./config.toml` if that is there, else the defaults. The environment
    /// (`MAYDAY__SECTION__KEY`) overrides both.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the engine (what `mayday` alone does, too).
    Serve,
    /// Prints a token, signed with the key that the engine uses.
    Token(TokenArgs),
    /// Makes a key for a sister service. Nothing is kept: put what it prints into the settings.
    ApiKey(ApiKeyArgs),
    /// Brings the store to this version's form.
    Migrate(MigrateArgs),
    /// Copies the whole store to a file; the engine may run.
    Backup(BackupArgs),
    /// Brings a backup back: in place, or into the engine that runs, which loses nothing that it has taken since.
    Restore(BackupArgs),
    /// Says what is wrong with the settings, if anything.
    Check,
}

#[derive(Args, Debug)]
struct MigrateArgs {
    /// Also builds everything that follows from the rooms' logs anew.
    #[arg(long, conflicts_with_all = ["dry_run", "status"])]
    rebuild: bool,
    /// Does it to a copy, says what that changed and how long it took, and leaves the store as it is.
    #[arg(long, conflicts_with = "status")]
    dry_run: bool,
    /// Says which migrations were applied, when, and which are pending.
    #[arg(long)]
    status: bool,
}

#[derive(Args, Debug)]
struct BackupArgs {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replaces what is there: a file by a backup, a store by a restore (the old one is put aside).
    #[arg(long)]
    force: bool,
    /// The data folder's generated secrets, too, so that tokens stay good on a new machine.
    #[arg(long)]
    with_secrets: bool,
}

#[derive(Args, Debug)]
struct TokenArgs {
    /// Whose.
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// CITIZEN, RESCUER, ANON, DISPATCHER or ADMIN.
    #[arg(long, value_parser = role)]
    role: Role,
    /// Their phone number, in E.164 or as dialled in the configured region.
    #[arg(long)]
    phone: Option<String>,
    /// Their name.
    #[arg(long)]
    name: Option<String>,
    /// The only incident they may act in; with the role ANON or RESCUER.
    #[arg(long, value_name = "ID")]
    sos: Option<RoomId>,
    /// How long it is good: 90s, 30m, 1h, 7d.
    #[arg(long, value_parser = span, default_value = "1h")]
    ttl: Duration,
}

#[derive(Args, Debug)]
struct ApiKeyArgs {
    /// Whose: letters, digits, '_', '-', '.', ':'.
    #[arg(long)]
    name: ServiceName,
    /// What it may do; more than once for more: incidents:read, incidents:write, messages:write, positions:write,
    /// participants:write, devices:write, or '*' for everything.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, required = true)]
    scopes: Vec<String>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--phone: {0}")]
    Phone(#[from] crate::domain::phone::InvalidPhone),
    #[error("token: {0}")]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    App(#[from] AppError),
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Keys(_) | Self::Phone(_) | Self::Issue(_) => USAGE.into(),
            Self::App(AppError::Diverged(_)) => DIVERGED.into(),
            Self::Secret(_) | Self::Telemetry(_) | Self::App(_) => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> ExitCode {
        match self.execute() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                error.exit_code()
            }
        }
    }

    fn execute(self) -> Result<(), CliError> {
        let config = Config::load(self.config.as_deref())?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => {
                telemetry::init(&config.log)?;
                app::serve(config)?;
            }
            Command::Migrate(args) => {
                telemetry::init(&config.log)?;
                args.run(config)?;
            }
            Command::Backup(args) => {
                telemetry::init(&config.log)?;
                app::backup(&config, &args.file, args.force, args.with_secrets)?;
            }
            Command::Restore(args) => {
                telemetry::init(&config.log)?;
                app::restore(&config, &args.file, args.force, args.with_secrets)?;
            }
            Command::ApiKey(args) => println!("{}", args.made()?),
            Command::Check => {
                // What the settings name must be there, too.
                Source::of(&config.auth).map_err(KeysError::from)?;
                KeyRing::public(&config.auth).map_err(KeysError::from)?;
                for line in app::check(&config)? {
                    println!("{line}");
                }
                println!("config is valid");
            }
            Command::Token(args) => println!("{}", args.token(&config, now())?),
        }
        Ok(())
    }
}

impl MigrateArgs {
    fn run(&self, config: Config) -> Result<(), AppError> {
        if self.status {
            app::migration_status(&config)
        } else if self.dry_run {
            app::rehearse_migration(&config)
        } else {
            app::migrate(config, self.rebuild)
        }
    }
}

impl TokenArgs {
    fn token(self, config: &Config, now: Timestamp) -> Result<String, CliError> {
        let region = config.contacts.default_region;
        let phone = self
            .phone
            .map(|phone| PhoneNumber::parse(&phone, region))
            .transpose()?;
        let grant = Grant {
            user: self.user,
            role: self.role,
            phone,
            name: self.name,
            mission: self.sos,
            expires_at: now + self.ttl,
        };
        Ok(jwt::issue(&grant, &config.auth, &Secrets::load(config)?.jwt)?)
    }
}

impl ApiKeyArgs {
    fn made(self) -> Result<String, CliError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(SecretError::Random)?;
        let (key, hash) = services::new_key(random);
        let (name, scopes) = (self.name, self.scopes);
        let quoted: Vec<_> = scopes.iter().map(|scope| format!("{scope:?}")).collect();
        Ok(format!(
            "The key of {name}, for its X-Internal-Token; it is shown only now:\n  {key}\n\
             One entry of auth.api_keys in the settings:\n  \
             {{ name = \"{name}\", sha256 = \"{hash}\", scopes = [{}] }}\n\
             The same in MAYDAY__AUTH__API_KEYS, where several are separated by ';':\n  \
             {name} {hash} {}",
            quoted.join(", "),
            scopes.join(",")
        ))
    }
}

fn scope(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.into());
    }
    Scope::parse(text)
        .map(|scope| scope.as_str().to_owned())
        .ok_or_else(|| {
            let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            format!("expected '*' or one of {}", known.join(", "))
        })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default() + since
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "expected CITIZEN, RESCUER, ANON, DISPATCHER or ADMIN".into())
}

/// A hundred years: further ahead, arithmetic on times stops to be safe.
const LONGEST_S: u64 = 100 * 366 * 86_400;

fn span(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit_s = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    let seconds = number
        .zip(unit_s)
        .and_then(|(number, unit_s)| number.checked_mul(unit_s));
    seconds
        .filter(|seconds| (1..=LONGEST_S).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a number with s, m, h or d, such as 90s or 1h".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::Subject;
    use crate::http::jwt::Verifier;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"mayday").chain(words))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_settings_may_be_named_before_or_after_the_command() {
        assert!(parse(&[]).unwrap().command.is_none());
        for words in [
            &["--config", "x.toml"][..],
            &["--config", "x.toml", "serve"],
            &["check", "--config", "x.toml"],
        ] {
            assert_eq!(parse(words).unwrap().config, Some("x.toml".into()), "{words:?}");
        }
    }

    #[test]
    fn spans_are_written_as_people_write_them() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("30m", 1_800),
            ("1h", 3_600),
            ("7d", 604_800),
        ] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "h",
            "0s",
            "-1h",
            "1.5h",
            "1y",
            "99999999999999999999s",
            "9999999d",
            "1 h",
            "1é",
        ] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_of_a_sister_service_is_made_with_the_entry_that_the_settings_take() {
        let words = [
            "api-key",
            "--name",
            "dispatch",
            "--scope",
            "incidents:read",
            "--scope",
            "MESSAGES:write",
        ];
        let Some(Command::ApiKey(args)) = parse(&words).unwrap().command else {
            panic!()
        };
        let text = args.made().unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let key = lines[1];
        for (place, toml) in [(3, format!("[{}]", lines[3])), (5, format!("'{}'", lines[5]))] {
            let toml = format!("[auth]\napi_keys = {toml}");
            let config = Config::parse("t.toml", &toml, []).unwrap();
            let internal = crate::config::Secret::new(&"i".repeat(32)).unwrap();
            let services = services::Services::new(&internal, &config.auth.api_keys);
            let found = services.find(key.as_bytes()).unwrap();
            assert_eq!(found.name.as_str(), "dispatch", "line {place}");
            assert!(found.scopes.allow(Scope::MessagesWrite) && !found.scopes.allow(Scope::IncidentsWrite));
        }
        assert!(parse(&["api-key", "--name", "x"]).is_err());
        assert!(parse(&["api-key", "--name", "x", "--scope", "all"]).is_err());
    }

    #[test]
    fn a_token_is_signed_with_the_generated_key_and_says_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.path = folder.path().join("data");
        let now = Timestamp::from_ms(1_800_000_000_000);
        let token = |words: &[&str]| {
            let Some(Command::Token(args)) = parse(&[&["token"], words].concat()).unwrap().command else {
                panic!()
            };
            args.token(&config, now)
        };
        let verify = |token: &str| {
            let key = Secrets::load(&config).unwrap().jwt;
            let keys = std::sync::Arc::new(KeyRing::of(&config.auth, &key).unwrap());
            Verifier::new(&config.auth, keys, config.contacts.default_region)
                .verify(token, now)
                .unwrap()
        };
        let words = [
            "--user",
            "ana",
            "--role",
            "citizen",
            "--phone",
            "09171234567",
            "--name",
            "Ana",
            "--ttl",
            "2h",
        ];
        let verified = verify(&token(&words).unwrap());
        assert_eq!(verified.expires_at, now + Duration::from_secs(7_200));
        assert_eq!(
            verified.identity.subject,
            Subject::User(UserId::new("ana").unwrap())
        );
        assert_eq!(verified.identity.phone.unwrap().reveal(), "+639171234567");

        let bound = verify(&token(&["--user", "r", "--role", "RESCUER", "--sos", "s1"]).unwrap()).identity;
        assert_eq!(
            (bound.role, bound.mission),
            (Role::Anon, Some(RoomId::new("s1").unwrap()))
        );
        assert!(token(&["--user", "a", "--role", "ADMIN", "--sos", "s1"]).is_err());
        let strict = Config::parse("t.toml", "[auth]\nalgorithms = 'ES256'", []).unwrap();
        let words = ["token", "--user", "a", "--role", "ADMIN"];
        let Some(Command::Token(args)) = parse(&words).unwrap().command else {
            panic!()
        };
        let kept = tempfile::tempdir().unwrap();
        let strict = Config {
            data: crate::config::Data {
                path: kept.path().join("data"),
            },
            ..strict
        };
        assert!(args.token(&strict, now).is_err());
        assert!(token(&["--user", "a", "--role", "ADMIN", "--phone", "x"]).is_err());
        assert!(parse(&["token", "--user", "a", "--role", "KING"]).is_err());
    }
}
