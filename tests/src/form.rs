//! Windows of GTK, which say where their widgets are and what happens to them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use praxis_bundle::messages::Rect;
use serde_json::Value;

use crate::processes::Ended;

/// The one that has GTK's bindings: that of the distribution.
pub const PYTHON: &str = "/usr/bin/python3";

/// A form that is shown as long as this lives.
pub struct Form {
    _program: Ended,
    said: Lines<BufReader<ChildStdout>>,
    /// Where each widget is, by its name in the script.
    pub rects: HashMap<String, Rect>,
}

impl Form {
    /// Starts a script of `tests/python` by a command for [`PYTHON`], and waits until its window is shown.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(mut python: Command, script: &str) -> Result<Self> {
        let script = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/python/{}"), script);
        python.arg(script).stdout(Stdio::piped());
        let mut program = Ended(python.spawn()?);
        let said = BufReader::new(program.0.stdout.take().context("no stdout")?).lines();
        let mut form = Self { _program: program, said, rects: HashMap::new() };
        form.learn()?;
        Ok(form)
    }

    /// Waits for the next thing that happens.
    ///
    /// # Errors
    /// If the form has ended.
    pub fn happens(&mut self) -> Result<Value> {
        Ok(serde_json::from_str(&self.said.next().context("the form has ended")??)?)
    }

    /// Waits until it says where widgets are.
    ///
    /// # Errors
    /// If something else happened.
    pub fn learn(&mut self) -> Result<()> {
        let rects: HashMap<String, Rect> = serde_json::from_value(self.happens()?)?;
        self.rects.extend(rects);
        Ok(())
    }

    /// The middle of a widget, for `xdotool`.
    ///
    /// # Errors
    /// If there is no such widget.
    pub fn middle_of(&self, widget: &str) -> Result<[String; 2]> {
        let rect = self.rects.get(widget).with_context(|| format!("no {widget}"))?;
        let middle = |start: i32, length: u32| (start + length as i32 / 2).to_string();
        Ok([middle(rect.x_px, rect.width_px), middle(rect.y_px, rect.height_px)])
    }
}
