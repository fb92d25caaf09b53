//! Lists what `npm run build` has put into `ui/dist`, so that it becomes part of the program. Nothing there is fine, too.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from("../ui/dist");
    // A folder that is missing would have this run with every build.
    std::fs::create_dir_all(&root)?;
    println!("cargo:rerun-if-changed=../ui/dist");
    let mut files = Vec::new();
    collect(&root.canonicalize()?, "", &mut files)?;
    files.sort();
    let mut table = String::from("[\n");
    for (name, path) in files {
        // Writing into a string does not fail.
        let _ = writeln!(table, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    table += "]";
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| std::io::Error::other("cargo sets OUT_DIR"))?;
    std::fs::write(Path::new(&out).join("files.rs"), table)
}

/// Files of a folder and those below, by their names from `root` on. The application's page is the application's.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else if name != "index.html" {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}
