//! The socket through which disks that are served are told what happens to them.
//!
//! Owns the socket and its words: a line of JSON in, `{"export": NAME, "order": WORDS}`, a line of JSON out. Must not know
//! what an order does.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use serving::{Exports, Order};

/// Longest line that is read, in bytes.
const LINE_MAX: u64 = 16 << 10;
/// How long somebody who has connected may take to say what he wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    export: String,
    order: String,
}

/// Answers whoever connects, one after the other, in a thread of its own, until the process ends.
pub fn answer(listener: UnixListener, exports: Arc<dyn Exports>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever goes away in the middle has no answer coming.
            let _ = serve(&stream, &*exports);
        }
    });
}

fn serve(stream: &UnixStream, exports: &dyn Exports) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if lines.by_ref().take(LINE_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_cut = !line.ends_with('\n') && line.len() as u64 == LINE_MAX;
        let answer = match is_cut {
            true => Err("a line that is too long".to_owned()),
            false => obey(&line, exports),
        };
        let answer = answer.unwrap_or_else(|error| json!({ "error": error }));
        (&*stream).write_all(format!("{answer}\n").as_bytes())?;
        if is_cut {
            return Ok(());
        }
    }
}

fn obey(line: &str, exports: &dyn Exports) -> Result<Value, String> {
    let asked: Asked = serde_json::from_str(line).map_err(|e| format!("no order: {e}"))?;
    let order = Order::parse(asked.order.split_whitespace()).map_err(|e| e.to_string())?;
    let device = exports.open(&asked.export).map_err(|e| e.to_string())?;
    device.obey(order)
}

#[cfg(test)]
mod tests {
    use serving::{Device, OpenError, SimDevice, SimOptions};
    use simulator::scenario::library;

    use super::*;

    struct One(Arc<dyn Device>);

    impl Exports for One {
        fn list(&self) -> Vec<(String, String)> {
            vec![("one".into(), String::new())]
        }

        fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError> {
            if ["", "one"].contains(&name) { Ok(self.0.clone()) } else { Err(OpenError::Unknown) }
        }
    }

    #[test]
    fn orders_are_obeyed_and_everything_else_is_answered_too() {
        let scenario = library::open("dead-head-small").unwrap();
        let clock = Arc::new(block::WallClock::new());
        let device = SimDevice::open(scenario, 1, SimOptions::default(), clock, None).unwrap();
        let exports: Arc<dyn Exports> = Arc::new(One(Arc::new(device)));
        let (client, server) = UnixStream::pair().unwrap();
        let thread = std::thread::spawn(move || serve(&server, &*exports));
        let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
        let mut say = |text: &str| {
            (&client).write_all(text.as_bytes()).unwrap();
            serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()
        };
        assert_eq!(say("{\"order\": \"state\"}\n")["power"], "ready");
        assert_eq!(say("{\"export\": \"one\", \"order\": \"vanish\"}\n").get("error"), None);
        assert_eq!(say("{\"order\": \"state\"}\n")["power"], "gone");
        for wrong in [
            "\n",
            "state\n",
            "{\"order\": \"explode\"}\n",
            "{\"order\": \"state\", \"x\": 1}\n",
            "{\"export\": \"two\", \"order\": \"state\"}\n",
        ] {
            assert!(say(wrong)["error"].is_string(), "{wrong}");
        }
        assert!(say(&"x".repeat(20_000))["error"].as_str().unwrap().contains("too long"));
        thread.join().unwrap().unwrap();
    }
}
