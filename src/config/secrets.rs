//! Secrets that nobody configured: made once, kept in the data folder, never shown.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::secret::Secret;
use super::sections::Config;
use crate::notify::Credential;

/// The secrets that the engine runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// The key of HS256 tokens.
    pub jwt: Secret,
    /// What sister services show.
    pub internal: Secret,
    /// By which device tokens are made.
    pub device: DeviceSecrets,
    /// By which the blocked are recognised.
    pub block: Secret,
    /// What is shared with the service that keeps incidents; `None`: there is no such service.
    pub sos: Option<SosSecrets>,
    /// What the service that keeps contacts wants to see; `None`: there is no such service.
    pub contacts: Option<Secret>,
}

/// What is shared with the service that keeps incidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SosSecrets {
    /// What it wants to see.
    pub token: Secret,
    /// By which what it is told is signed; `None`: it is told nothing.
    pub signing: Option<Secret>,
}

impl SosSecrets {
    /// What the settings or files of the data folder hold. Nothing is generated: the service knows them already.
    ///
    /// # Errors
    /// When one is missing, or its file cannot be read, is readable by others, or holds no secret.
    pub fn load(config: &Config) -> Result<Option<Self>, SecretError> {
        if !config.services.has_sos() {
            return Ok(None);
        }
        let folder = config.data.path.join("secrets");
        let given_or = |given: &Option<Secret>, key| match given {
            Some(secret) => Ok(secret.clone()),
            None => agreed(&folder, key),
        };
        Ok(Some(Self {
            token: given_or(&config.services.sos_token, "services.sos_token")?,
            signing: if config.services.feeds() {
                Some(given_or(
                    &config.services.sos_signing_secret,
                    "services.sos_signing_secret",
                )?)
            } else {
                None
            },
        }))
    }
}

/// What the service that keeps contacts wants to see; `None`: there is no such service. Nothing is generated: it knows the
/// token already.
///
/// # Errors
/// When it is missing, or its file cannot be read, is readable by others, or holds no secret.
pub fn contacts_token(config: &Config) -> Result<Option<Secret>, SecretError> {
    if !config.contacts.is_remote() {
        return Ok(None);
    }
    if let Some(token) = &config.contacts.contacts_token {
        return Ok(Some(token.clone()));
    }
    agreed(&config.data.path.join("secrets"), "contacts.contacts_token").map(Some)
}

/// By which device tokens are made, and were made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSecrets {
    /// Makes and checks tokens.
    pub current: Secret,
    /// Only checks them, until every device has asked for a new one.
    pub previous: Option<Secret>,
}

/// Why there is no secret. The path is told, what is in the file is not.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file or its folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it, so it is no secret.
    #[error("{}: readable by others (mode {mode:04o}); make it private with chmod go-rwx", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Empty or too short.
    #[error("{}: holds no secret of at least {} bytes; remove it to have a new one generated", path.display(), Secret::MIN_BYTES)]
    Weak {
        /// Which.
        path: PathBuf,
    },
    /// Nothing is in it.
    #[error("{}: is empty", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// It would have to be generated, and every node of a cluster would have another one.
    #[error(
        "{key}: nodes that share a bus need the same one, so none is generated; set it, or put it into {}",
        path.display()
    )]
    NotShared {
        /// The key of the settings.
        key: &'static str,
        /// Where it is looked for when it is not set.
        path: PathBuf,
    },
    /// Another service knows it as well, so it cannot be made up.
    #[error("{key}: another service knows it too, so none is generated; set it, or put it into {}", path.display())]
    NotAgreed {
        /// The key of the settings.
        key: &'static str,
        /// Where it is looked for when it is not set.
        path: PathBuf,
    },
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
}

impl Secrets {
    /// The configured secrets; in place of one that is not configured, the one in the data folder, which is
    /// made if it is not there and this node is alone.
    ///
    /// # Errors
    /// When a file cannot be made, cannot be read, is readable by others, or holds no secret; when this node shares a
    /// bus and a secret is neither configured nor there.
    pub fn load(config: &Config) -> Result<Self, SecretError> {
        let folder = config.data.path.join("secrets");
        let alone = config.bus.url.is_empty();
        let given_or = |given: &Option<Secret>, key: &'static str| match given {
            Some(secret) => Ok(secret.clone()),
            None => {
                let name = key.rsplit('.').next().unwrap_or(key);
                if alone {
                    return load_or_create(&folder, name);
                }
                let path = folder.join(name);
                read(&path)?.ok_or(SecretError::NotShared { key, path })
            }
        };
        Ok(Self {
            jwt: given_or(&config.auth.jwt_secret, "auth.jwt_secret")?,
            internal: given_or(&config.auth.internal_token, "auth.internal_token")?,
            block: given_or(&config.abuse.block_secret, "abuse.block_secret")?,
            sos: SosSecrets::load(config)?,
            contacts: contacts_token(config)?,
            device: DeviceSecrets {
                current: given_or(&config.auth.device_secret, "auth.device_secret")?,
                previous: match &config.auth.device_secret_previous {
                    Some(secret) => Some(secret.clone()),
                    None => read(&folder.join("device_secret_previous"))?,
                },
            },
        })
    }
}

/// One that another service knows as well: it cannot be generated.
fn agreed(folder: &Path, key: &'static str) -> Result<Secret, SecretError> {
    let path = folder.join(key.rsplit('.').next().unwrap_or(key));
    read(&path)?.ok_or(SecretError::NotAgreed { key, path })
}

fn at(path: &Path) -> impl Fn(io::Error) -> SecretError {
    move |source| SecretError::Io {
        path: path.to_owned(),
        source,
    }
}

fn load_or_create(folder: &Path, name: &str) -> Result<Secret, SecretError> {
    make_private_folder(folder)?;
    let path = folder.join(name);
    if let Some(secret) = read(&path)? {
        return Ok(secret);
    }
    create(folder, &path)?;
    // Read back rather than trusted: another process may have been first, and then its secret is the one.
    read(&path)?.ok_or_else(|| at(&path)(io::ErrorKind::NotFound.into()))
}

fn make_private_folder(folder: &Path) -> Result<(), SecretError> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(at(parent))?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(folder)(error)),
        _ => refuse_exposed(folder, &std::fs::metadata(folder).map_err(at(folder))?),
    }
}

fn refuse_exposed(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SecretError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(SecretError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

fn read(path: &Path) -> Result<Option<Secret>, SecretError> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    Secret::new(text.trim()).map(Some).map_err(|_| SecretError::Weak {
        path: path.to_owned(),
    })
}

/// One that somebody else gave out, however short.
pub(super) fn read_credential(path: &Path) -> Result<Option<Credential>, SecretError> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let found = Credential::new(&text).ok_or_else(|| SecretError::Empty {
        path: path.to_owned(),
    })?;
    Ok(Some(found))
}

/// The file, if it is there and nobody else's to read.
fn read_text(path: &Path) -> Result<Option<String>, SecretError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(at(path))?,
    };
    refuse_exposed(path, &file.metadata().map_err(at(path))?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(at(path))?;
    Ok(Some(text))
}

/// Writes a whole secret beside `path`, then gives it that name if nothing has it yet: nobody ever sees half
/// a secret, and of two processes one wins. (A rename would let the second overwrite the first's.)
fn create(folder: &Path, path: &Path) -> Result<(), SecretError> {
    let draft = folder.join(format!(".draft-{}", &random_hex()?[..16]));
    let written = write_draft(&draft, &random_hex()?);
    let linked = written.and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // It may not be there at all; what counts is told by `linked`.
    let _ = std::fs::remove_file(&draft);
    linked
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(at(path))
}

fn write_draft(draft: &Path, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

fn random_hex() -> Result<String, SecretError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};

    fn config(folder: &Path) -> Config {
        let mut config = Config::default();
        config.data.path = folder.join("data");
        config
    }

    #[test]
    fn secrets_are_made_once_private_and_different() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let made = Secrets::load(&config).unwrap();
        assert_ne!(made.jwt, made.internal);
        assert_eq!(Secrets::load(&config).unwrap(), made);
        let secrets = config.data.path.join("secrets");
        assert_eq!(secrets.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let mut names = Vec::new();
        for entry in secrets.read_dir().unwrap().map(Result::unwrap) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            names.push(entry.file_name());
        }
        names.sort();
        assert_eq!(
            names,
            ["block_secret", "device_secret", "internal_token", "jwt_secret"]
        );
    }

    #[test]
    fn configured_secrets_leave_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.auth.jwt_secret = Some(Secret::new(&"j".repeat(32)).unwrap());
        config.auth.internal_token = Some(Secret::new(&"i".repeat(32)).unwrap());
        config.auth.device_secret = Some(Secret::new(&"d".repeat(32)).unwrap());
        config.abuse.block_secret = Some(Secret::new(&"b".repeat(32)).unwrap());
        assert!(
            Secrets::load(&config)
                .unwrap()
                .jwt
                .matches("j".repeat(32).as_bytes())
        );
        assert!(!config.data.path.exists());
    }

    #[test]
    fn nodes_that_share_a_bus_generate_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.bus.url = crate::bus::redis::BusUrl::new("redis://127.0.0.1");
        let error = Secrets::load(&config).unwrap_err().to_string();
        assert!(error.starts_with("auth.jwt_secret: "), "{error}");
        assert!(!config.data.path.exists());
        // A file that every node was given counts as well as a setting.
        let secret = Some(Secret::new(&"s".repeat(32)).unwrap());
        config.auth.internal_token.clone_from(&secret);
        config.auth.device_secret.clone_from(&secret);
        config.auth.jwt_secret.clone_from(&secret);
        make_private_folder(&config.data.path.join("secrets")).unwrap();
        let path = config.data.path.join("secrets/block_secret");
        assert!(matches!(
            Secrets::load(&config),
            Err(SecretError::NotShared {
                key: "abuse.block_secret",
                ..
            })
        ));
        write_draft(&path, &"b".repeat(32)).unwrap();
        assert!(
            Secrets::load(&config)
                .unwrap()
                .block
                .matches("b".repeat(32).as_bytes())
        );
    }

    #[test]
    fn what_another_service_knows_is_never_generated() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        assert_eq!(SosSecrets::load(&config).unwrap(), None);
        config.services.sos_url = "http://127.0.0.1:9".into();
        let error = Secrets::load(&config).unwrap_err().to_string();
        assert!(error.starts_with("services.sos_token: "), "{error}");
        let token = "t".repeat(32);
        write_draft(&config.data.path.join("secrets/sos_token"), &token).unwrap();
        let error = Secrets::load(&config).unwrap_err().to_string();
        assert!(error.starts_with("services.sos_signing_secret: "), "{error}");
        config.services.sos_signing_secret = Some(Secret::new(&"s".repeat(32)).unwrap());
        let from_file = Secrets::load(&config).unwrap().sos;
        config.services.sos_token = Some(Secret::new(&token).unwrap());
        assert_eq!(Secrets::load(&config).unwrap().sos, from_file);
    }

    #[test]
    fn a_device_secret_that_was_moved_aside_still_checks() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let first = Secrets::load(&config).unwrap().device;
        assert_eq!(first.previous, None);
        let secrets = config.data.path.join("secrets");
        std::fs::rename(
            secrets.join("device_secret"),
            secrets.join("device_secret_previous"),
        )
        .unwrap();
        let second = Secrets::load(&config).unwrap().device;
        assert_eq!(second.previous, Some(first.current));
        assert_ne!(Some(second.current), second.previous);
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let all: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| Secrets::load(&config).unwrap()))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_secret_that_others_may_read_or_that_is_empty_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        Secrets::load(&config).unwrap();
        let path = config.data.path.join("secrets/jwt_secret");
        let secret = std::fs::read_to_string(&path).unwrap();

        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = Secrets::load(&config).unwrap_err().to_string();
        assert!(error.contains("jwt_secret") && error.contains("0640"), "{error}");
        assert!(!error.contains(secret.trim()));

        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(Secrets::load(&config), Err(SecretError::Weak { .. })));

        set_permissions(config.data.path.join("secrets"), Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(Secrets::load(&config), Err(SecretError::Exposed { .. })));
    }
}
