//! `praxis-collector`: serve, and make the codes and tokens that let people in.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use praxis_collector::auth::{Role, Secret};
use praxis_collector::child::{Expected, verify_here};
use praxis_collector::db::{Db, now_millis};
use praxis_collector::export_child::export_here;

use praxis_collector::{Collector, default_data, make_private, serve};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Collect recorded sessions: uploads that resume, verification, a list, downloads.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "\
Examples:
  praxis-collector serve
  praxis-collector code new --project protein-folding --expert expert-17
  praxis-collector token new --role reviewer

It needs no configuration: a database and the bundles are in the data folder. Behind a reverse proxy with TLS, let it
listen on loopback, which is the default."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Folder of the database and the bundles [default: the data folder of this user]
    #[arg(long, global = true, value_name = "DIR", env = "PRAXIS_COLLECTOR_DATA")]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the collector until Ctrl-C or SIGTERM
    Serve {
        /// Address and port; port 0 takes a free one, which is printed
        #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDRESS")]
        listen: SocketAddr,
        /// How to log
        #[arg(long, value_enum, default_value = "text")]
        log: Log,
    },
    /// Enrolment codes
    #[command(subcommand)]
    Code(CodeCommand),
    /// Tokens of reviewers and leads, and of enrolled devices
    #[command(subcommand)]
    Token(TokenCommand),
    /// The child process that checks one bundle
    #[command(hide = true)]
    Verify {
        file: PathBuf,
        #[arg(long)]
        bundle_id: uuid::Uuid,
        #[arg(long)]
        sha256: String,
        #[arg(long)]
        bytes: u64,
        #[arg(long)]
        cpu_seconds: u64,
    },
    /// The child process that makes an export; its task comes by standard input
    #[command(hide = true)]
    Export,
}

#[derive(Subcommand)]
enum CodeCommand {
    /// Make a code that lets one device in, once
    New {
        /// Project of the bundles that will come
        #[arg(long)]
        project: String,
        /// Pseudonym of the expert
        #[arg(long)]
        expert: String,
        /// Hours until it expires
        #[arg(long, default_value = "168", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=8760))]
        valid_hours: i64,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token
    New {
        /// What it allows
        #[arg(long, value_enum)]
        role: RoleArgument,
    },
    /// List tokens by number
    List,
    /// Revoke a token; it counts from the next request on
    Revoke {
        /// Its number
        number: i64,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArgument {
    Reviewer,
    Lead,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    Text,
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "praxis-collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    if let Command::Verify { file, bundle_id, sha256, bytes, cpu_seconds } = &arguments.command {
        let expected = Expected { bundle_id: *bundle_id, bytes: *bytes, sha256: sha256.clone() };
        let answer = verify_here(file, &expected, *cpu_seconds)?;
        return Ok(answer.write(&mut std::io::stdout().lock())?);
    }
    if let Command::Export = &arguments.command {
        return export_here(std::io::BufReader::new(std::io::stdin()), &mut std::io::stdout());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work(arguments))
}

async fn work(arguments: Arguments) -> Result<()> {
    let data = arguments.data.unwrap_or_else(default_data);
    if let Command::Serve { listen, log } = arguments.command {
        return serve_there(&data, listen, log).await;
    }
    if !data.join("collector.sqlite").exists() {
        // A mistyped folder would otherwise give codes that work nowhere.
        let _ = writeln!(std::io::stderr(), "a new collector in {}", data.display());
    }
    make_private(&data).await.with_context(|| {
        format!("cannot make the data folder {}: choose another with --data", data.display())
    })?;
    let db = Db::open(&data.join("collector.sqlite")).await.context("the database cannot be opened")?;
    let done = change(&db, arguments.command).await;
    db.close().await;
    done
}

async fn change(db: &Db, command: Command) -> Result<()> {
    let mut out = std::io::stdout();
    match command {
        Command::Code(CodeCommand::New { project, expert, valid_hours }) => {
            for (what, text) in [("--project", &project), ("--expert", &expert)] {
                if text.trim().is_empty() || text.len() > 100 || text.chars().any(char::is_control) {
                    bail!("{what} must be 1 to 100 printable characters");
                }
            }
            let code = Secret::code()?;
            db.new_code(&code, &project, &expert, now_millis() + valid_hours * 3_600_000).await?;
            writeln!(out, "{}", code.reveal())?;
        }
        Command::Token(TokenCommand::New { role }) => {
            let role = match role {
                RoleArgument::Reviewer => Role::Reviewer,
                RoleArgument::Lead => Role::Lead,
            };
            let token = Secret::token()?;
            db.new_token(role, &token).await?;
            writeln!(out, "{}", token.reveal())?;
        }
        Command::Token(TokenCommand::List) => {
            for (number, role, project, expert, is_revoked) in db.tokens().await? {
                let of = [project, expert].into_iter().flatten().collect::<Vec<_>>().join(" / ");
                writeln!(
                    out,
                    "{number:>5}  {role:<9} {}  {of}",
                    if is_revoked { "revoked" } else { "valid  " }
                )?;
            }
        }
        Command::Token(TokenCommand::Revoke { number }) => {
            if !db.revoke_token(number).await? {
                bail!("there is no valid token {number}: praxis-collector token list shows them");
            }
        }
        Command::Serve { .. } | Command::Verify { .. } | Command::Export => {}
    }
    Ok(())
}

async fn serve_there(data: &std::path::Path, listen: SocketAddr, log: Log) -> Result<()> {
    let filter = EnvFilter::try_from_env("PRAXIS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let logger =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    if log == Log::Json {
        logger.json().init();
    } else {
        logger.init();
    }
    let program = std::env::current_exe().context("where this program is")?;
    let collector = Collector::open(data, &program).await?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: choose another address with --listen"))?;
    // A program that started us with port 0 reads where we are.
    let _ = writeln!(std::io::stdout(), "http://{}", listener.local_addr()?);
    serve(collector, listener, ended()).await
}

/// Resolves at Ctrl-C or SIGTERM.
async fn ended() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
